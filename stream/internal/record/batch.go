package record

// A Batch is an encoded record batch: a run of records of one partition with
// rising offsets. The zero Batch is empty. Batches are immutable.
type Batch struct{ data []byte }
