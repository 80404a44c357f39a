package assign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// wireVersion is the first byte of what members exchange.
const wireVersion = 1

// ErrWire is wrapped by errors of decoding.
var ErrWire = errors.New("not of this version of the protocol, or cut off")

// EncodeOrder writes an order, as a group's leader sends it to a member:
//
//	┌─────────┬─────────┬─────────────────────────┬─────────┬───────────────────────────┐
//	│ version │ tasks   │ tasks × (sub,partition) │ release │ release × (sub,partition) │
//	│ 1 byte  │ uvarint │ uvarint, uvarint        │ uvarint │ uvarint, uvarint          │
//	└─────────┴─────────┴─────────────────────────┴─────────┴───────────────────────────┘
func EncodeOrder(o Order) []byte {
	return appendTasks(appendTasks([]byte{wireVersion}, o.Tasks), o.Release)
}

// DecodeOrder reads what EncodeOrder wrote. Empty data are the empty order.
func DecodeOrder(data []byte) (o Order, err error) {
	if len(data) == 0 {
		return o, nil
	}
	d := decoder{rest: data}
	d.version()
	o.Tasks, o.Release = d.tasks(), d.tasks()
	return o, d.end("order")
}

// A Report is what a member tells the group's leader.
type Report struct {
	// Owns are the tasks that it has.
	Owns []Task
	// Seen is the Sum of the order that it has taken over last. If that is not
	// the last one it was given, it may own what was in that one, too.
	Seen uint64
}

// EncodeReport writes a report:
//
//	┌─────────┬─────────┬──────────┬────────────────────────┐
//	│ version │ seen    │ owns     │ owns × (sub,partition) │
//	│ 1 byte  │ 8 bytes │ uvarint  │ uvarint, uvarint       │
//	└─────────┴─────────┴──────────┴────────────────────────┘
func EncodeReport(r Report) []byte {
	return appendTasks(binary.BigEndian.AppendUint64([]byte{wireVersion}, r.Seen), r.Owns)
}

// DecodeReport reads what EncodeReport wrote. Empty data are the empty report.
func DecodeReport(data []byte) (r Report, err error) {
	if len(data) == 0 {
		return r, nil
	}
	d := decoder{rest: data}
	d.version()
	r.Seen, r.Owns = d.uint64(), d.tasks()
	return r, d.end("report")
}

// Sum tells orders apart, by their encoding; 0 if that is empty.
func Sum(order []byte) uint64 {
	if len(order) == 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write(order)
	return h.Sum64()
}

func appendTasks(b []byte, tasks []Task) []byte {
	b = binary.AppendUvarint(b, uint64(len(tasks)))
	for _, t := range tasks {
		b = binary.AppendUvarint(b, uint64(t.Sub))
		b = binary.AppendUvarint(b, uint64(t.Partition))
	}
	return b
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) version() {
	if d.rest[0] != wireVersion {
		d.fail()
		return
	}
	d.rest = d.rest[1:]
}

func (d *decoder) tasks() []Task {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	var tasks []Task
	for range n {
		tasks = append(tasks, Task{Sub: d.int32(), Partition: d.int32()})
	}
	return tasks
}

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
