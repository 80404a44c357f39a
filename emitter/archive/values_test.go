package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// small are limits that tests reach.
var small = limits{line: 64, cut: 8, chunk: 16}

// dumbLines is the model of files of lines: all at once, and with nothing but
// the standard library's Split.
func dumbLines(data []byte, max limits, broken bool) (lines []value) {
	all := bytes.SplitAfter(data, []byte("\n"))
	if broken || len(all[len(all)-1]) == 0 {
		all = all[:len(all)-1] // the last line was not read to its end, or is none
	}
	var offset int64
	for i, raw := range all {
		l := value{start: offset, end: offset + int64(len(raw)), number: int64(i + 1)}
		l.lines = int64(bytes.Count(data[:l.end], []byte("\n")))
		offset = l.end
		l.data = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
		if i == 0 && bytes.HasPrefix(l.data, bom) {
			l.data, l.start = l.data[3:], 3
		}
		blank := len(bytes.TrimSpace(l.data)) == 0 && l.end-l.start <= int64(max.line+extras)
		if len(l.data) > max.line {
			l.data, l.long = l.data[:max.cut], int64(len(l.data))
		}
		if !blank {
			lines = append(lines, l)
		}
	}
	return lines
}

// onlyLines tells whether data is a file of lines, as the model knows them.
func onlyLines(data []byte) bool {
	data = bytes.TrimPrefix(data, bom)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return false
	}
	for line := range bytes.Lines(data) {
		trimmed := bytes.TrimSpace(line)
		if line[0] == '{' && !bytes.HasSuffix(trimmed, []byte("}")) || bytes.HasPrefix(trimmed, []byte(":")) || isField(trimmed) {
			return false
		}
	}
	return true
}

// readAll reads all chunks of r.
func readAll(l *valueReader) (lines []value, err error) {
	for c := (chunk{}); ; {
		l.next(&c)
		for _, got := range c.values {
			got.data = bytes.Clone(got.data)
			lines = append(lines, got)
		}
		if c.err != nil {
			return lines, c.err
		}
	}
}

func sameLines(a, b []value) bool {
	return slices.EqualFunc(a, b, func(a, b value) bool {
		same := bytes.Equal(a.data, b.data)
		a.data, b.data = nil, nil
		return same && a.start == b.start && a.end == b.end && a.number == b.number && a.lines == b.lines && a.long == b.long
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

// reader reads data in some way, from a value on if there is one.
func reader(data []byte, broken bool, behind *value, array bool, how func(io.Reader) io.Reader) *valueReader {
	l := &valueReader{limits: small}
	if behind != nil {
		l.offset, l.number, l.begun, l.array = behind.end, behind.lines, true, array
	}
	l.r = how(breaks(data[l.offset:], broken))
	return l
}

var ways = []func(io.Reader) io.Reader{
	func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
}

// checkValues holds what is read against the model, if it knows such files; and
// whatever they are: in whatever pieces data come, and at whatever value the
// reading goes on, the values are the same, and they are what stands there.
func checkValues(t interface{ Fatalf(string, ...any) }, data []byte, broken bool) {
	if foreign(data) != nil {
		return
	}
	first := reader(data, broken, nil, false, ways[0])
	want, _ := readAll(first)
	if onlyLines(data) {
		if model := dumbLines(data, small, broken); !sameLines(want, model) {
			t.Fatalf("%q\n got %+v\nwant %+v", data, want, model)
		}
	}
	checkPlaces(t, data, want)
	for _, how := range ways {
		got, err := readAll(reader(data, broken, nil, false, how))
		if broken && !errors.Is(err, errBroken) || !broken && err != io.EOF {
			t.Fatalf("%q ends with %v", data, err)
		}
		if !sameLines(got, want) {
			t.Fatalf("%q\n got %+v\nwant %+v", data, got, want)
		}
		for i := range want {
			got, _ := readAll(reader(data, broken, &want[i], first.array, how))
			if !sameLines(got, want[i+1:]) {
				t.Fatalf("%q from %d on\n got %+v\nwant %+v", data, want[i].end, got, want[i+1:])
			}
		}
	}
}

// checkPlaces makes sure that values are what stands where they say.
func checkPlaces(t interface{ Fatalf(string, ...any) }, data []byte, values []value) {
	var at int64
	for _, v := range values {
		length := max(int64(len(v.data)), v.long)
		if v.start < at || v.end < v.start+length || !bytes.HasPrefix(data[v.start:], v.data) {
			t.Fatalf("%q: no %+v", data, v)
		}
		if n := int64(bytes.Count(data[:v.start], newline)) + 1; v.number != n || v.lines != int64(bytes.Count(data[:v.end], newline)) {
			t.Fatalf("%q: %+v is in line %d", data, v, n)
		}
		at = v.end
	}
}

func TestValuesAreThoseOfTheModelAndWhatStandsThere(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"\n", "\r\n", "\r", " ", "\ufeff", "x", "\x00", "{}", "{", "}", "[", "]", ",", "{\"a\":", "1", "event: a\n", "data:", ":\n"}),
		rapid.Map(rapid.IntRange(1, 200), func(n int) string { return strings.Repeat("y", n) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		data := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), "")
		checkValues(t, []byte(data), rapid.Bool().Draw(t, "broken"))
	})
}

func FuzzValues(f *testing.F) {
	f.Add([]byte("\ufeff{}\r\n\n \n{}"), false)
	f.Add([]byte(strings.Repeat("x", 63)+"\r\n"+strings.Repeat("x", 64)+"\r\n"+strings.Repeat("x", 65)+"\r\ny"), true)
	f.Add([]byte(strings.Repeat("x", 84)+"\r"), false)
	f.Add([]byte("{\n\"a\": [\n1,\n{}]\n}\n{\"b\":\n{}\n"), false)
	f.Add([]byte("[{\"a\":\"}\\\"\"},\n{},[{}]]\n"), true)
	f.Add([]byte(":)\nevent: a\ndata: {}\n:\ndata: 1\n\nevent: b\nevent: c\ndata:\n{}"), false)
	f.Fuzz(func(t *testing.T, data []byte, broken bool) { checkValues(t, data, broken) })
}

// whatValues is what a file's values are, one a line.
func whatValues(data string) (got []string) {
	values, _ := readAll(&valueReader{limits: usual, r: strings.NewReader(data)})
	for _, v := range values {
		got = append(got, fmt.Sprintf("%d %s", v.number, strings.Join(strings.Fields(string(v.data)), " ")))
	}
	return got
}

func TestWhatAFileHoldsShowsAsItIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"lines":                    {"{\"a\":1}\n\n{\"b\":\n{\"c\":\"}\n\"x\n{}", []string{`1 {"a":1}`, `3 {"b":`, `4 {"c":"}`, `5 "x`, "6 {}"}},
		"documents":                {"{\n \"a\": [\n  {}\n ]\n}\n{\n\"b\": 1\n}\n", []string{`1 { "a": [ {} ] }`, `6 { "b": 1 }`}},
		"documents and more":       {"{\"a\": [\n{},\n{}\n]}\n{\"b\":1}\n", []string{`1 {"a": [ {}, {} ]}`, `5 {"b":1}`}},
		"a cut document":           {"{\n \"a\": [\n  {},\n  {\"b\"", []string{`1 { "a": [ {}, {"b"`}},
		"damage in the middle":     {"{\n \"a\": [\n  }\n{\"c\":1}\n", []string{`1 { "a": [`, `3 }`, `4 {"c":1}`}},
		"cut where an object fits": {"{\"a\":\n{\"b\":1}\n{\"c\":\n{\"d\":1}\n", []string{`1 {"a":`, `2 {"b":1}`, `3 {"c":`, `4 {"d":1}`}},
		"an array":                 {" [{\"a\":\"]\"},{\"b\":[1]} , \"{}\"]", []string{`1 {"a":"]"}`, `1 {"b":[1]}`, `1 "{}"`}},
		"an array of lines":        {"[\n{\"a\":1},\n{\n\"b\":2\n}\n]\n", []string{`2 {"a":1}`, `3 { "b":2 }`}},
		"arrays":                   {"[{\"a\":1}]\n[{\"b\":1}]\n", []string{`1 {"a":1}`, `2 {"b":1}`}},
		"damage in an array":       {"[{\"a\":1},\n{\"b\":tru e},\n{\"c\":1},\nnull, 7\n{\"d\":", []string{`1 {"a":1}`, `2 {"b":tru e},`, `3 {"c":1}`, "4 null, 7", `5 {"d":`}},
		"events": {":)\n:thump\nevent: a\ndata: 1\n\n:thump\nevent: b\n:thump\ndata: 2\ndata: 3\nevent: c\ndata: 4", []string{
			"3 event: a data: 1", "7 event: b :thump data: 2 data: 3", "11 event: c data: 4",
		}},
	} {
		if got := whatValues(c.data); !slices.Equal(got, c.want) {
			t.Errorf("%s\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// A document may be larger than memory; the one behind it is found.
func TestADocumentThatIsTooLongIsOneValue(t *testing.T) {
	for _, array := range []bool{false, true} {
		data := "{\"a\": [\n" + strings.Repeat("{\"b\": 1},\n", 500_000) + "{}\n]}"
		behind := "\n{}"
		if array {
			data, behind = "["+data, ",{}]"
		}
		got, err := readAll(&valueReader{limits: usual, r: strings.NewReader(data + behind)})
		if err != io.EOF || len(got) != 2 || got[0].long != int64(len(strings.TrimPrefix(data, "["))) || string(got[1].data) != "{}" {
			t.Errorf("%d values, %v", len(got), err)
		}
	}
}

// What the shape calls whole is what the standard library does, if the standard
// library knows it at all.
func FuzzShape(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,true,null,"x\"",{}],"b":{"c":[]}} rest`))
	f.Add([]byte(`"text" x`))
	f.Add([]byte(`{"a":1,}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || data[0] != '{' && data[0] != '"' {
			return
		}
		var s shape
		n, v := s.feed(data)
		d := json.NewDecoder(bytes.NewReader(data))
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == nil && s.depth <= maxDepth && (v != whole || n != len(raw)) && !deep(raw) {
			t.Fatalf("%q: %d at %d, the library ends at %d", data, v, n, len(raw))
		}
		if v == whole && err == nil && n != len(raw) {
			t.Fatalf("%q: whole at %d, want %d", data, n, len(raw))
		}
		var slow shape
		for i := range n {
			if m, got := slow.feed(data[i : i+1]); m != 1 || got != unfinished && i < n-1 {
				t.Fatalf("%q: byte by byte it is %d at %d", data, got, i)
			}
		}
	})
}

// deep tells whether a value is nested more than a shape follows.
func deep(raw []byte) bool {
	return bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) > maxDepth
}

func TestALineOfTenMegabytesIsCutAndTheNextOneIsWhole(t *testing.T) {
	data := "{}\n" + strings.Repeat("x", 10<<20) + "\r\nlast"
	got, err := readAll(&valueReader{limits: usual, r: strings.NewReader(data)})
	if err != io.EOF || len(got) != 3 || len(got[1].data) != cutLetter || got[1].long != 10<<20 || string(got[2].data) != "last" || got[2].number != 3 {
		t.Fatalf("%d lines, %v", len(got), err)
	}
}

func TestWhatIsNoJSONLinesIsNamed(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar")
	for want, data := range map[string]string{"tar": string(tar), "zip": "PK\x03\x04xx", "UTF-16": "\xff\xfe{\x00"} {
		lines, err := readAll(&valueReader{limits: usual, r: strings.NewReader(data)})
		if err == nil || !strings.Contains(err.Error(), want) || len(lines) > 0 {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	data := []byte(strings.Repeat(strings.Repeat("x", 349)+"\n", 10000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		l, c := &valueReader{limits: usual, r: bytes.NewReader(data)}, chunk{}
		for c.err == nil {
			l.next(&c)
		}
	}
	b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds(), "lines/s")
}
