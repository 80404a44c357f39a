package assign

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
)

// wireVersion is the first byte of what members exchange.
const wireVersion = 3

// ErrWire is wrapped by errors of decoding.
var ErrWire = errors.New("not of this version of the protocol, or cut off")

// EncodeOrder writes an order, as a group's leader sends it to a member. All
// numbers but the first two are uvarints:
//
//	┌─────────┬────────┬────────────┬───────┬─────────┬────────┬──────────┬───────────────┐
//	│ version │ flags  │ partitions │ tasks │ release │ follow │ warm-ups │ hosts × host  │
//	│ 1 byte  │ 1 byte │ counts     │ list  │ list    │ list   │ list     │ (count first) │
//	└─────────┴────────┴────────────┴───────┴─────────┴────────┴──────────┴───────────────┘
//	counts: count × number
//	list: count × (sub, partition)   host: instance, endpoint (length, bytes), threads, tasks (list)
//	flags: 1 = idle
func EncodeOrder(o Order) []byte {
	b := []byte{wireVersion, 0}
	if o.Idle {
		b[1] |= flagIdle
	}
	b = appendCounts(b, o.Partitions)
	for _, tasks := range [][]Task{o.Tasks, o.Release, o.Follow, o.WarmUps} {
		b = appendTasks(b, tasks)
	}
	b = binary.AppendUvarint(b, uint64(len(o.Hosts)))
	for _, h := range o.Hosts {
		b = binary.AppendUvarint(appendText(appendText(b, h.Instance), h.Endpoint), uint64(max(0, h.Threads)))
		b = appendTasks(b, h.Tasks)
	}
	return b
}

const flagIdle = 1

// DecodeOrder reads what EncodeOrder wrote. Empty data are the empty order.
func DecodeOrder(data []byte) (o Order, err error) {
	if len(data) == 0 {
		return o, nil
	}
	d := decoder{rest: data}
	d.version()
	o.Idle = d.byte()&flagIdle != 0
	o.Partitions = d.counts()
	o.Tasks, o.Release, o.Follow, o.WarmUps = d.tasks(), d.tasks(), d.tasks(), d.tasks()
	for range d.count() {
		o.Hosts = append(o.Hosts, Host{Instance: d.text(), Endpoint: d.text(), Threads: int(d.int32()), Tasks: d.tasks()})
	}
	return o, d.end("order")
}

// A Report is what a member tells the group's leader.
type Report struct {
	// Seen is the Sum of the order that it has taken over last. If that is not
	// the last one it was given, it may own what was in that one, too.
	Seen uint64
	// Partitions that it knows of, by sub-topology.
	Partitions []int32
	// The rest as in Member.
	Owns, Follows      []Task
	Lags               map[Task]int64
	Threads            int
	Instance, Endpoint string
}

// EncodeReport writes a report. All numbers but the first two are uvarints:
//
//	┌─────────┬─────────┬────────────┬─────────┬───────────────────────┬──────┬─────────┬───────────────────────┐
//	│ version │ seen    │ partitions │ threads │ instance, endpoint    │ owns │ follows │ lags ×                │
//	│ 1 byte  │ 8 bytes │ counts     │         │ (length, bytes), each │ list │ list    │ (sub, partition, lag) │
//	└─────────┴─────────┴────────────┴─────────┴───────────────────────┴──────┴─────────┴───────────────────────┘
//	list: count × (sub, partition)   counts: count × number
func EncodeReport(r Report) []byte {
	b := binary.BigEndian.AppendUint64([]byte{wireVersion}, r.Seen)
	b = binary.AppendUvarint(appendCounts(b, r.Partitions), uint64(max(0, r.Threads)))
	b = appendText(appendText(b, r.Instance), r.Endpoint)
	b = appendTasks(appendTasks(b, r.Owns), r.Follows)
	b = binary.AppendUvarint(b, uint64(len(r.Lags)))
	for _, t := range slices.SortedFunc(maps.Keys(r.Lags), Task.Compare) {
		b = binary.AppendUvarint(appendTask(b, t), uint64(max(0, r.Lags[t])))
	}
	return b
}

// DecodeReport reads what EncodeReport wrote. Empty data are the empty report.
func DecodeReport(data []byte) (r Report, err error) {
	if len(data) == 0 {
		return r, nil
	}
	d := decoder{rest: data}
	d.version()
	r.Seen, r.Partitions, r.Threads = d.uint64(), d.counts(), int(d.int32())
	r.Instance, r.Endpoint = d.text(), d.text()
	r.Owns, r.Follows = d.tasks(), d.tasks()
	for n := d.count(); n > 0; n-- {
		if r.Lags == nil {
			r.Lags = make(map[Task]int64, n)
		}
		t := d.task()
		r.Lags[t] = d.int64()
	}
	return r, d.end("report")
}

// Sum tells orders apart, by their encoding; 0 if that is empty.
func Sum(order []byte) uint64 {
	if len(order) == 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write(order)
	return cmp.Or(h.Sum64(), 1)
}

func appendTask(b []byte, t Task) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(t.Sub)), uint64(t.Partition))
}

func appendTasks(b []byte, tasks []Task) []byte {
	b = binary.AppendUvarint(b, uint64(len(tasks)))
	for _, t := range tasks {
		b = appendTask(b, t)
	}
	return b
}

func appendCounts(b []byte, counts []int32) []byte {
	b = binary.AppendUvarint(b, uint64(len(counts)))
	for _, n := range counts {
		b = binary.AppendUvarint(b, uint64(max(0, n)))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) version() {
	if d.byte() != wireVersion {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// count reads how many things follow: no more than there are bytes left.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) tasks() []Task {
	var tasks []Task
	for range d.count() {
		tasks = append(tasks, d.task())
	}
	return tasks
}

// maxPartitions is more than a Kafka can hold. What is told is made into tasks.
const maxPartitions = 1 << 20

func (d *decoder) counts() []int32 {
	var counts []int32
	for range d.count() {
		n := d.int32()
		if n > maxPartitions {
			d.fail()
		}
		counts = append(counts, n)
	}
	return counts
}

func (d *decoder) task() Task { return Task{Sub: d.int32(), Partition: d.int32()} }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

func (d *decoder) int64() int64 {
	v := d.uvarint()
	if v > 1<<63-1 {
		d.fail()
		return 0
	}
	return int64(v)
}

func (d *decoder) int32() int32 {
	v := d.uvarint()
	if v > 1<<31-1 {
		d.fail()
		return 0
	}
	return int32(v)
}

func (d *decoder) end(what string) error {
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("%s: %w", what, ErrWire)
	}
	return nil
}
