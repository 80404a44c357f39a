package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/emitter"
)

// A collector takes lines and cursors as an emitter commits them, and may die
// after so many lines.
type collector struct {
	cursors map[string][]byte
	lines   []string
	left    int // -1: it lives for ever
}

func newCollector() *collector { return &collector{cursors: map[string][]byte{}, left: -1} }

var errDead = errors.New("dead")

func (c *collector) Cursors(_ context.Context, prefix string) (map[string][]byte, error) {
	for name := range c.cursors {
		if !strings.HasPrefix(name, prefix) {
			return nil, fmt.Errorf("a cursor %q was asked for as %q", name, prefix)
		}
	}
	return maps.Clone(c.cursors), nil
}

func (c *collector) Send(_ context.Context, b emitter.Block) error {
	if c.left == 0 {
		return errDead
	}
	n := b.Len()
	if c.left > 0 {
		n = min(n, c.left)
		c.left -= n
	}
	for i := range n {
		c.lines = append(c.lines, string(b.Letter(i).Data))
	}
	if name, value := b.Cursor(n); name != "" && (n > 0 || b.Len() == 0) {
		c.cursors[name] = bytes.Clone(value)
	}
	if n < b.Len() {
		return errDead
	}
	return nil
}

// run reads the paths with a new source.
func (c *collector) run(t testing.TB, o Options) (string, error) {
	var logged strings.Builder
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	s := New(o)
	err := s.Run(t.Context(), c)
	if p := s.Progress(); err == nil && p.Done < p.Total {
		t.Errorf("progress at the end: %+v", p)
	}
	return logged.String(), err
}

// read runs a source that must not fail, and returns what it read.
func (c *collector) read(t testing.TB, paths ...string) []string {
	t.Helper()
	c.lines = nil
	if log, err := c.run(t, Options{Paths: paths}); err != nil {
		t.Fatal(err, log)
	}
	return c.lines
}

// numbers are n lines of JSON.
func numbers(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf(`{"n":%d}`, i))
	}
	return lines
}

func text(lines []string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }

func gzipped(parts ...[]byte) []byte {
	var buf bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&buf)
		_, _ = w.Write(part)
		_ = w.Close()
	}
	return buf.Bytes()
}

func zstded(parts ...[]byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	var packed []byte
	for _, part := range parts {
		packed = w.EncodeAll(part, packed)
	}
	return packed
}

func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func wantLines(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d lines, want %d\n got %.200q\nwant %.200q", what, len(got), len(want), got, want)
	}
}

func TestPackedFilesAreToldByTheirContent(t *testing.T) {
	want := numbers(0, 1000)
	a, b := text(want[:500]), text(want[500:])
	bzip, err := os.ReadFile("testdata/numbers.jsonl.bz2")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"plain": append(a, b...), "gzip": gzipped(a, b), "zstd": zstded(a, b), "bzip2": bzip,
	} {
		wantLines(t, name, newCollector().read(t, file(t, "misnamed.txt", data)), want)
	}
}

func TestAFinishedFileIsSkippedAndSaysSo(t *testing.T) {
	c := newCollector()
	path := file(t, "a.jsonl", text(numbers(0, 10)))
	wantLines(t, "first", c.read(t, path), numbers(0, 10))
	log, err := c.run(t, Options{Paths: []string{path}})
	if err != nil || len(c.lines) != 10 || !strings.Contains(log, "--again") {
		t.Errorf("%v, %d lines, %s", err, len(c.lines), log)
	}
	moved := filepath.Join(t.TempDir(), "b.jsonl")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	wantLines(t, "moved", c.read(t, moved), nil)
	c.lines = nil
	if _, err := c.run(t, Options{Paths: []string{moved}, Again: true}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, "again", c.lines, numbers(0, 10))
	wantLines(t, "after again", c.read(t, moved), nil)
}

func TestTheSameFileTwiceIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	data := gzipped(text(numbers(0, 10)))
	file(t, filepath.Join(dir, "a.json.gz"), data)
	file(t, filepath.Join(dir, "b", "copy.json.gz"), data)
	for _, again := range []bool{false, true} {
		c := newCollector()
		log, err := c.run(t, Options{Paths: []string{dir, filepath.Join(dir, "a.json.gz"), dir + "/"}, Again: again})
		if err != nil || len(c.lines) != 10 || !strings.Contains(log, "same as another") {
			t.Errorf("again=%v: %v, %d lines, %s", again, err, len(c.lines), log)
		}
	}
}

func TestAFileThatWasAppendedToIsReadOn(t *testing.T) {
	for name, pack := range map[string]func(...[]byte) []byte{
		"plain": func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }, "gzip": gzipped, "zstd": zstded,
	} {
		for _, size := range []int{3, 20000} { // smaller and larger than the beginning that names a file
			c := newCollector()
			parts := [][]byte{text(numbers(0, size))}
			path := file(t, name, pack(parts...))
			wantLines(t, name, c.read(t, path), numbers(0, size))
			for i := size; i < size+6; i += 2 {
				parts = append(parts, text(numbers(i, i+2)))
				file(t, path, pack(parts...))
				wantLines(t, name+" appended to", c.read(t, path), numbers(i, i+2))
			}
			if len(c.cursors) != 1 {
				t.Errorf("%s: %d cursors", name, len(c.cursors))
			}
		}
	}
}

func TestAFileThatWasReplacedIsReadFromItsStart(t *testing.T) {
	head := numbers(0, 10000) // more than the beginning that names a file
	c := newCollector()
	path := file(t, "a.jsonl", text(append(head, `{"n":"one"}`, `{"n":"two"}`)))
	c.read(t, path)
	for i, tail := range [][]string{{`{"n":"uno"}`, `{"n":"dos"}`, `{"n":"tres"}`}, {}} {
		want := append(slices.Clip(head), tail...)
		file(t, path, text(want))
		wantLines(t, fmt.Sprint("replaced ", i), c.read(t, path), want)
		wantLines(t, fmt.Sprint("read twice ", i), c.read(t, path), nil)
	}
	if len(c.cursors) != 3 {
		t.Errorf("%d cursors for 3 files that begin alike", len(c.cursors))
	}
}

// However often it dies, and wherever, all lines are read once and in order.
func TestARestartRepeatsAndMissesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		sub := filepath.Join(dir, strconv.Itoa(n))
		var want []string
		for i := range rapid.IntRange(1, 3).Draw(rt, "files") {
			lines := rapid.SliceOfN(rapid.StringMatching(`[a-z ]{0,8}`), 0, 60).Draw(rt, "lines")
			end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(rt, "end")
			data := []byte(strings.Join(lines, end))
			data = append(data, fmt.Sprintf("\n%d%s", i, end)...) // no two files alike
			for _, l := range append(lines, strconv.Itoa(i)) {
				if strings.TrimSpace(l) != "" {
					want = append(want, l)
				}
			}
			data = rapid.SampledFrom([]func(...[]byte) []byte{
				func(b ...[]byte) []byte { return b[0] }, gzipped, zstded,
			}).Draw(rt, "pack")(data)
			file(t, filepath.Join(sub, fmt.Sprintf("%d.json", i)), data)
		}
		c := newCollector()
		for lives := 0; ; lives++ {
			c.left = rapid.IntRange(1, 50).Draw(rt, "life")
			_, err := c.run(t, Options{Paths: []string{sub}})
			if err == nil {
				break
			}
			if !errors.Is(err, errDead) || lives > 300 {
				rt.Fatal(lives, err)
			}
		}
		if !slices.Equal(c.lines, want) {
			rt.Fatalf("\n got %q\nwant %q", c.lines, want)
		}
	})
}

func TestAFileThatEndsTooEarlyIsReadAsFarAsItGoes(t *testing.T) {
	want := numbers(0, 200000)
	for name, data := range map[string][]byte{"gzip": gzipped(text(want)), "zstd": zstded(text(want))} {
		dir := t.TempDir()
		cut := file(t, filepath.Join(dir, "a.json"), data[:len(data)*2/3])
		file(t, filepath.Join(dir, "aa.json"), data[:len(data)*2/3]) // the same again
		file(t, filepath.Join(dir, "b.json"), []byte("last\n"))
		c := newCollector()
		_, err := c.run(t, Options{Paths: []string{dir}})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), cut) || !strings.Contains(err.Error(), "behind line ") {
			t.Fatalf("%s: %v", name, err)
		}
		n := len(c.lines) - 1
		if n < 100 || c.lines[n] != "last" || !slices.Equal(c.lines[:n], want[:n]) {
			t.Errorf("%s: %d lines were read", name, n)
		}
		if _, err := c.run(t, Options{Paths: []string{dir}}); !errors.Is(err, io.ErrUnexpectedEOF) || len(c.lines) != n+1 {
			t.Errorf("%s, again: %v, %d lines", name, err, len(c.lines))
		}
		file(t, cut, data)
		if err := os.Remove(filepath.Join(dir, "aa.json")); err != nil {
			t.Fatal(err)
		}
		wantLines(t, name+" when it is whole", c.read(t, dir), want[n:])
	}
}

func TestFoldersAreReadInTheOrderOfPaths(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"2020/01/00.json.gz": gzipped([]byte("1\n")), "2020/01/01.JSON": []byte("2"), "2020/02.ndjson": []byte("3\n"),
		"2021.jsonl.zst": zstded([]byte("4\n")), "README.md": []byte("no"), ".hidden.json": []byte("no"), ".git/x.json": []byte("no"),
		"empty.json": nil, "photo.png": []byte("no"), "x.txt.gz": []byte("no"),
	} {
		file(t, filepath.Join(dir, name), data)
	}
	if err := os.Symlink(filepath.Join(dir, "README.md"), filepath.Join(dir, "zlink.json")); err != nil {
		t.Fatal(err)
	}
	c := newCollector()
	log, err := c.run(t, Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "folder", c.lines, []string{"1", "2", "3", "4", "no"})
	for _, name := range []string{"README.md", "photo.png", "x.txt.gz", "empty.json"} {
		if !strings.Contains(log, filepath.Join(dir, name)) {
			t.Errorf("not a word about %s", name)
		}
	}
	if _, err := c.run(t, Options{Paths: []string{t.TempDir()}}); err == nil || !strings.Contains(err.Error(), "no files named") {
		t.Errorf("empty folder: %v", err)
	}
}

func TestWhatIsNotThereStopsEverythingBeforeItBegins(t *testing.T) {
	c := newCollector()
	_, err := c.run(t, Options{Paths: []string{file(t, "a", []byte("x\n")), "/nowhere/a", "/nowhere/b"}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere/a") || !strings.Contains(err.Error(), "/nowhere/b") || len(c.lines) > 0 {
		t.Errorf("%v, %d lines", err, len(c.lines))
	}
}

func TestWhatCannotBeOpenedDoesNotStopTheOthers(t *testing.T) {
	dir := t.TempDir()
	file(t, filepath.Join(dir, "b.json"), []byte("x\n"))
	gone := filepath.Join(dir, "a.json")
	if err := os.Symlink("nowhere", gone); err != nil {
		t.Fatal(err)
	}
	c := newCollector()
	_, err := c.run(t, Options{Paths: []string{dir}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), gone) || len(c.lines) != 1 {
		t.Errorf("%v, %d lines", err, len(c.lines))
	}
}

func TestStandardInputIsReadOnceAndSaysSo(t *testing.T) {
	for name, data := range map[string][]byte{"plain": []byte("1\n2"), "gzip": gzipped([]byte("1\n2"))} {
		c := newCollector()
		log, err := c.run(t, Options{Paths: []string{Stdin}, Stdin: bytes.NewReader(data)})
		if err != nil || len(c.cursors) > 0 || !strings.Contains(log, "restart") {
			t.Errorf("%s: %v, %v, %s", name, err, c.cursors, log)
		}
		wantLines(t, name, c.lines, []string{"1", "2"})
	}
}

func TestARunEndsWhileStandardInputIsSilent(t *testing.T) {
	in, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	c := newCollector()
	s := New(Options{Paths: []string{Stdin}, Stdin: in, Logger: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, c) }()
	if _, err := out.Write([]byte("1\n")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = out.Close()
	goleak.VerifyNone(t)
}

func TestCursorsOfAnotherTimeAreSurvived(t *testing.T) {
	c := newCollector()
	path := file(t, "a", text(numbers(0, 3)))
	c.read(t, path)
	for name := range c.cursors {
		c.cursors[name] = []byte("what is this?")
	}
	wantLines(t, "read again", c.read(t, path), numbers(0, 3))
	if len(c.cursors) != 2 {
		t.Errorf("cursors: %v", c.cursors)
	}
}

func FuzzKnown(f *testing.F) {
	good, err := json.Marshal(place{Head: 3, Offset: 3, Line: 1, Length: 2, Check: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("file/x-3", good)
	f.Add("", []byte(`{"head":-1,"from":-5,"length":-9,"offset":-2}`))
	path := file(f, "a", []byte("{}\n"))
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		c := newCollector()
		known := parseKnown(map[string][]byte{name: value})
		for n, p := range known { // as if it were the file's
			p.name = cursorName([]byte("{}\n"), 1)
			delete(known, n)
			c.cursors[p.name] = p.value()
		}
		c.cursors[cursorName([]byte("{}\n"), 1)] = value
		if _, err := c.run(t, Options{Paths: []string{path}}); err != nil {
			t.Fatal(err)
		}
		if len(c.lines) > 1 {
			t.Fatalf("%d lines", len(c.lines))
		}
	})
}
