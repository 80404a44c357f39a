package archive

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// small are limits that tests reach.
var small = limits{line: 64, cut: 8, chunk: 16}

// dumbLines is the model: all at once, and with nothing but the standard
// library's Split.
func dumbLines(data []byte, max limits, broken bool) (lines []line) {
	all := bytes.SplitAfter(data, []byte("\n"))
	if broken || len(all[len(all)-1]) == 0 {
		all = all[:len(all)-1] // the last line was not read to its end, or is none
	}
	var offset int64
	for i, raw := range all {
		l := line{start: offset, end: offset + int64(len(raw)), number: int64(i + 1)}
		offset = l.end
		l.data = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
		if i == 0 && bytes.HasPrefix(l.data, bom) {
			l.data, l.start = l.data[3:], 3
		}
		if len(l.data) > max.line {
			l.data, l.long = l.data[:max.cut], int64(len(l.data))
		}
		if l.long > 0 || len(bytes.TrimSpace(l.data)) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// readAll reads all chunks of r.
func readAll(l *lineReader) (lines []line, err error) {
	for c := (chunk{}); ; {
		l.next(&c)
		for _, got := range c.lines {
			got.data = bytes.Clone(got.data)
			lines = append(lines, got)
		}
		if c.err != nil {
			return lines, c.err
		}
	}
}

func sameLines(a, b []line) bool {
	return slices.EqualFunc(a, b, func(a, b line) bool {
		same := bytes.Equal(a.data, b.data)
		a.data, b.data = nil, nil
		return same && a.start == b.start && a.end == b.end && a.number == b.number && a.long == b.long
	})
}

var errBroken = errors.New("broken")

// breaks reads data and then, if broken, fails.
func breaks(data []byte, broken bool) io.Reader {
	if broken {
		return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errBroken))
	}
	return bytes.NewReader(data)
}

// checkLines compares the reader with the model, from the start and from every
// line on, for several ways to read.
func checkLines(t interface{ Fatalf(string, ...any) }, data []byte, broken bool) {
	if foreign(data) != nil {
		return
	}
	want := dumbLines(data, small, broken)
	for _, slow := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
	} {
		got, err := readAll(&lineReader{limits: small, r: slow(breaks(data, broken))})
		if broken && !errors.Is(err, errBroken) || !broken && err != io.EOF {
			t.Fatalf("%q ends with %v", data, err)
		}
		if !sameLines(got, want) {
			t.Fatalf("%q\n got %+v\nwant %+v", data, got, want)
		}
	}
	for i, l := range want {
		got, _ := readAll(&lineReader{limits: small, r: breaks(data[l.end:], broken), offset: l.end, number: l.number})
		if !sameLines(got, want[i+1:]) {
			t.Fatalf("%q from %d on\n got %+v\nwant %+v", data, l.end, got, want[i+1:])
		}
	}
}

func TestLinesAreThoseOfTheModel(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"\n", "\r\n", "\r", " ", "\ufeff", "x", "\x00", "{}"}),
		rapid.Map(rapid.IntRange(1, 200), func(n int) string { return strings.Repeat("y", n) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		data := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), "")
		checkLines(t, []byte(data), rapid.Bool().Draw(t, "broken"))
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("\ufeff{}\r\n\n \n{}"), false)
	f.Add([]byte(strings.Repeat("x", 63)+"\r\n"+strings.Repeat("x", 64)+"\r\n"+strings.Repeat("x", 65)+"\r\ny"), true)
	f.Add([]byte(strings.Repeat("x", 84)+"\r"), false)
	f.Fuzz(func(t *testing.T, data []byte, broken bool) { checkLines(t, data, broken) })
}

func TestALineOfTenMegabytesIsCutAndTheNextOneIsWhole(t *testing.T) {
	data := "{}\n" + strings.Repeat("x", 10<<20) + "\r\nlast"
	got, err := readAll(&lineReader{limits: usual, r: strings.NewReader(data)})
	if err != io.EOF || len(got) != 3 || len(got[1].data) != cutLetter || got[1].long != 10<<20 || string(got[2].data) != "last" || got[2].number != 3 {
		t.Fatalf("%d lines, %v", len(got), err)
	}
}

func TestWhatIsNoJSONLinesIsNamed(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar")
	for want, data := range map[string]string{"tar": string(tar), "zip": "PK\x03\x04xx", "UTF-16": "\xff\xfe{\x00"} {
		lines, err := readAll(&lineReader{limits: usual, r: strings.NewReader(data)})
		if err == nil || !strings.Contains(err.Error(), want) || len(lines) > 0 {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	data := []byte(strings.Repeat(strings.Repeat("x", 349)+"\n", 10000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		l, c := &lineReader{limits: usual, r: bytes.NewReader(data)}, chunk{}
		for c.err == nil {
			l.next(&c)
		}
	}
	b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds(), "lines/s")
}
