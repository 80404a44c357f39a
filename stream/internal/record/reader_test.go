package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"testing"
)

func TestParseRefusesDamage(t *testing.T) {
	sound := golden(t)["plain"]
	if _, err := Parse(sound); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"nothing":          func(d []byte) []byte { return nil },
		"half a header":    func(d []byte) []byte { return d[:30] },
		"a byte short":     func(d []byte) []byte { return d[:len(d)-1] },
		"a byte long":      func(d []byte) []byte { return append(d, 0) },
		"old magic":        func(d []byte) []byte { d[posMagic] = 1; return d },
		"flipped bit":      func(d []byte) []byte { d[len(d)-3] ^= 4; return d },
		"negative base":    func(d []byte) []byte { d[posBase] = 0x80; return d },
		"negative length":  func(d []byte) []byte { d[posLength] = 0x80; return d },
		"count too large":  func(d []byte) []byte { d[posCount+3] = 5; return resum(d) },
		"count negative":   func(d []byte) []byte { d[posCount] = 0xff; return resum(d) },
		"negative offsets": func(d []byte) []byte { d[posLastDelta] = 0xff; return resum(d) },
	} {
		if b, err := Parse(damage(slices.Clone(sound))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: parsed to %v, %v", name, b, err)
		}
	}
}

func TestParseRefusesCompressedBatches(t *testing.T) {
	d := slices.Clone(golden(t)["plain"])
	d[posAttrs+1] = 4 // zstd
	if _, err := Parse(resum(d)); !errors.Is(err, ErrCompressed) {
		t.Errorf("got %v", err)
	}
}

func TestReaderRefusesRecordsThatDoNotFill(t *testing.T) {
	for name, damage := range map[string]func([]byte){
		"fewer records than bytes":      func(d []byte) { d[posCount+3] = 3 },
		"record longer than the batch":  func(d []byte) { d[headerLen] = 0x7e },
		"offset does not rise":          func(d []byte) { d[headerLen+15+4] = 0 },
		"offset behind the last":        func(d []byte) { d[posLastDelta+3] = 3; d[headerLen+3] = 20 },
		"key longer than the record":    func(d []byte) { d[headerLen+4] = 0x40 },
		"key length below null":         func(d []byte) { d[headerLen+4] = 3 },
		"headers more than there could": func(d []byte) { d[headerLen+14] = 2 },
	} {
		d := slices.Clone(golden(t)["plain"])
		damage(d)
		b, err := Parse(resum(d))
		if err != nil {
			t.Errorf("%s: the header alone was refused: %v", name, err)
			continue
		}
		if _, err := records(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: read without complaint", name)
		}
	}
}

func TestHeadersStayWithTheirRecord(t *testing.T) {
	var b Builder
	for i := range 200 {
		b.Append(0, nil, nil, Header{fmt.Sprint(i), []byte{byte(i)}}, Header{"x", nil})
	}
	rs, err := records(b.Seal(0, NoProducer)[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		want := []Header{{fmt.Sprint(i), []byte{byte(i)}}, {"x", nil}}
		if !reflect.DeepEqual(r.Headers, want) {
			t.Fatalf("record %d has headers %v", i, r.Headers)
		}
	}
}

func TestZeroBatchIsEmpty(t *testing.T) {
	var b Batch
	r := b.Reader()
	if b.Base() != 0 || b.Next() != 0 || b.Count() != 0 || b.Control() || b.Producer() != NoProducer || r.Next() || r.Err() != nil {
		t.Error("the zero batch has something in it")
	}
}

// resum writes the length and checksum that the rest of d calls for.
func resum(d []byte) []byte {
	binary.BigEndian.PutUint32(d[posLength:], uint32(len(d)-lengthEnd))
	binary.BigEndian.PutUint32(d[posCRC:], crc32.Checksum(d[posAttrs:], castagnoli))
	return d
}

// slowRecords reads a batch in the plainest way, with nothing shared with Reader.
func slowRecords(d []byte) (all []Record, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	attrs := binary.BigEndian.Uint16(d[posAttrs:])
	base, baseTime := int64(binary.BigEndian.Uint64(d)), int64(binary.BigEndian.Uint64(d[posBaseTime:]))
	lastDelta := int64(int32(binary.BigEndian.Uint32(d[posLastDelta:])))
	rest, last := d[headerLen:], int64(-1)
	number := func() int64 {
		v, n := binary.Varint(rest)
		if n <= 0 {
			panic("number")
		}
		rest = rest[n:]
		return v
	}
	text := func() []byte {
		n := number()
		if n == -1 {
			return nil
		}
		b := append([]byte{}, rest[:n]...)
		rest = rest[n:]
		return b
	}
	for range binary.BigEndian.Uint32(d[posCount:]) {
		size := number()
		end := int64(len(rest)) - size
		rest = rest[1:]
		r := Record{Timestamp: baseTime + number()}
		delta := number()
		r.Offset, r.Key, r.Value = base+delta, text(), text()
		if attrs&attrAppendTime != 0 {
			r.Timestamp = int64(binary.BigEndian.Uint64(d[posMaxTime:]))
		}
		n := number()
		if n < 0 {
			panic("headers")
		}
		for range n {
			r.Headers = append(r.Headers, Header{string(text()), text()})
		}
		if int64(len(rest)) != end || size < 0 || delta <= last || delta > lastDelta {
			return all, false
		}
		all, last = append(all, r), delta
	}
	return all, len(rest) == 0
}

func FuzzParse(f *testing.F) {
	for _, d := range golden(f) {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		if _, err := Parse(d); err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrCompressed) {
			t.Fatal(err)
		}
		if len(d) < headerLen {
			return
		}
		// Past the checksum, so that the records are reached too.
		d[posMagic] = magic
		b, err := Parse(resum(d))
		if err != nil {
			return
		}
		got, err := records(b)
		want, ok := slowRecords(d)
		if (err == nil) != ok {
			t.Fatalf("read with %v, the slow reader says %v\n%x", err, ok, d)
		}
		if len(got) != len(want) && ok || ok && len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{8, 350} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var builder Builder
			for i := range 1000 {
				builder.Append(int64(i), []byte("covid19"), make([]byte, size))
			}
			batch := builder.Seal(0, NoProducer)[0]
			b.ReportAllocs()
			r := batch.Reader()
			for b.Loop() {
				if !r.Next() {
					r = batch.Reader()
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	var builder Builder
	for i := range 1000 {
		builder.Append(int64(i), []byte("covid19"), make([]byte, 350))
	}
	data := builder.Seal(0, NoProducer)[0].Bytes()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
