package record

// A Rewriter gathers records that keep the offsets they have: what compaction
// leaves of batches goes into new, fuller ones. The zero Rewriter is ready.
type Rewriter struct {
	// MaxBatchBytes after which a new batch is begun. Default [DefaultBatchBytes].
	MaxBatchBytes int

	buf   []byte
	spans []rewriteSpan
}

// A rewriteSpan is one batch in a rewriter. All its timestamps count from its
// horizon, whether or not deletes give it one, because the first may come late.
type rewriteSpan struct {
	start  int // in buf
	header header
}

// Append adds a record. Horizon is the time from which compaction may remove
// the record if it is a delete; batches have one horizon for all their
// deletes. It copies everything it is given.
func (w *Rewriter) Append(r *Record, horizon int64) {
	h := w.headerFor(r, horizon, r.Value != nil)
	w.add(h, r)
	if r.Value == nil {
		h.attrs |= attrHorizon
	}
}

// Add is Append for records whose deletes have no horizon.
func (w *Rewriter) Add(r *Record) { w.add(w.headerFor(r, r.Timestamp, true), r) }

func (w *Rewriter) add(h *header, r *Record) {
	timeDelta, offsetDelta := r.Timestamp-h.baseTime, r.Offset-h.base
	size := bodySize(timeDelta, offsetDelta, r.Key, r.Value, r.Headers)
	w.buf = appendRecord(w.buf, size, timeDelta, offsetDelta, r.Key, r.Value, r.Headers)
	h.lastDelta = int32(offsetDelta)
	h.count++
	h.maxTime = max(h.maxTime, r.Timestamp)
}

// headerFor returns the header of the batch that a record goes to: one with
// that base time, or with any.
func (w *Rewriter) headerFor(r *Record, baseTime int64, any bool) *header {
	limit := w.MaxBatchBytes
	if limit <= 0 {
		limit = DefaultBatchBytes
	}
	if n := len(w.spans); n > 0 {
		s := &w.spans[n-1]
		full := len(w.buf)-s.start+minRecord+len(r.Key)+len(r.Value) > limit || r.Offset-s.header.base > maxSpan
		if !full && (any || s.header.baseTime == baseTime) {
			return &s.header
		}
	}
	w.spans = append(w.spans, rewriteSpan{start: len(w.buf), header: header{
		base: r.Offset, baseTime: baseTime, maxTime: r.Timestamp, producer: NoProducer,
	}})
	w.buf = append(w.buf, make([]byte, headerLen)...)
	return &w.spans[len(w.spans)-1].header
}

// maxSpan of offsets in one batch, well within the 31 bits there are.
const maxSpan = 1 << 30

// Bytes is the size of all batches, sealed.
func (w *Rewriter) Bytes() int { return len(w.buf) }

// Seal returns the batches and empties the rewriter. They share no memory with it.
func (w *Rewriter) Seal() []Batch {
	data := append([]byte(nil), w.buf...)
	batches := make([]Batch, len(w.spans))
	for i, s := range w.spans {
		end := len(data)
		if i+1 < len(w.spans) {
			end = w.spans[i+1].start
		}
		d := data[s.start:end:end]
		sealHeader(d, s.header)
		batches[i] = Batch{d}
	}
	w.buf, w.spans = w.buf[:0], w.spans[:0]
	return batches
}
