package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
)

// A packedFile is to be a member of an archive.
type packedFile struct {
	name string
	data []byte
}

func tarred(files ...packedFile) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "2020/", Mode: 0o755})
	for _, f := range files {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: 0o644})
		_, _ = w.Write(f.data)
	}
	_ = w.Close()
	return buf.Bytes()
}

func zipped(files ...packedFile) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	_, _ = w.Create("2020/")
	for i, f := range files {
		one, _ := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: []uint16{zip.Store, zip.Deflate}[i%2]})
		_, _ = one.Write(f.data)
	}
	_ = w.Close()
	return buf.Bytes()
}

// archivers are the ways to make one file of many.
var archivers = map[string]func(...packedFile) []byte{
	"tar": tarred, "zip": zipped,
	"tar.gz":  func(f ...packedFile) []byte { return gzipped(tarred(f...)) },
	"tar.zst": func(f ...packedFile) []byte { return zstded(tarred(f...)) },
}

func TestMembersOfArchivesAreReadAsFilesAre(t *testing.T) {
	bzip, err := os.ReadFile("testdata/numbers.jsonl.bz2")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("d/", 120) // more than a tar's header has room for
	files := []packedFile{
		{"2020/04/03/12/00.json.bz2", bzip}, {"2020/" + long + "01.json.gz", gzipped(text(numbers(0, 5)))},
		{"README.md", []byte("# Read me")}, {".hidden.json", []byte("{}")}, {"__MACOSX/a.json", []byte("{}")}, {"empty.json", nil},
		{"odd name", zstded(text(numbers(5, 9)))}, {"last.json", []byte("[{\"n\":9},\n{\"n\":10}]")},
	}
	want := slices.Concat(numbers(0, 1000), numbers(0, 11))
	for name, pack := range archivers {
		c := newCollector()
		path := file(t, "misnamed", pack(files...))
		log, err := c.run(t, Options{Paths: []string{path}})
		if err != nil || !strings.Contains(log, "README.md") || strings.Contains(log, "hidden") {
			t.Errorf("%s: %v, %s", name, err, log)
		}
		wantLines(t, name, c.lines, want)
		wantLines(t, name+" again", c.read(t, path), nil)
	}
}

// However often it dies, in whatever member, each value is read once, in order.
func TestARestartInAnArchiveRepeatsAndMissesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		var want []string
		var files []packedFile
		for i := range rapid.IntRange(1, 5).Draw(rt, "members") {
			lines := numbers(1000*i, 1000*i+rapid.IntRange(0, 40).Draw(rt, "lines"))
			want = append(want, lines...)
			data := text(lines)
			switch rapid.IntRange(0, 3).Draw(rt, "form") {
			case 0:
				data = gzipped(data)
			case 1:
				data = []byte("[" + strings.Join(lines, ",") + "]")
			case 2:
				data = []byte("[\n" + strings.Join(lines, ",\n") + "\n]\n")
			}
			files = append(files, packedFile{fmt.Sprintf("%d.json", i), data})
		}
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range archivers {
				if !yield(name) {
					return
				}
			}
		})
		pack := archivers[rapid.SampledFrom(names).Draw(rt, "archive")]
		path := file(t, filepath.Join(dir, strconv.Itoa(n), "a"), pack(files...))
		c := newCollector()
		for lives := 0; ; lives++ {
			c.left = rapid.IntRange(1, 30).Draw(rt, "life")
			_, err := c.run(t, Options{Paths: []string{path}})
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

func TestAMemberThatIsDamagedDoesNotStopTheOthers(t *testing.T) {
	cut := gzipped(text(numbers(0, 100_000)))
	files := []packedFile{{"a.json", text(numbers(0, 3))}, {"b.json.gz", cut[:len(cut)/2]}, {"c.json", text(numbers(3, 6))}}
	for _, name := range []string{"tar", "zip", "tar.gz"} {
		c := newCollector()
		path := file(t, "a."+name, archivers[name](files...))
		_, err := c.run(t, Options{Paths: []string{path}})
		if err == nil || !strings.Contains(err.Error(), path+"/b.json.gz") {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(c.lines); n < 100 || !slices.Equal(c.lines[:3], numbers(0, 3)) || !slices.Equal(c.lines[n-3:], numbers(3, 6)) {
			t.Errorf("%s: %d lines", name, n)
		}
		n := len(c.lines)
		if _, err := c.run(t, Options{Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), "earlier run") || len(c.lines) != n {
			t.Errorf("%s, again: %v, %d lines more", name, err, len(c.lines)-n)
		}
	}
}

func TestAnArchiveThatWasAppendedToIsReadOn(t *testing.T) {
	files := []packedFile{{"a.json", text(numbers(0, 20_000))}, {"b.json", text(numbers(20_000, 20_010))}}
	for name, pack := range archivers {
		if name == "tar.gz" || name == "tar.zst" {
			continue // packed anew they begin otherwise
		}
		c := newCollector()
		path := file(t, "a", pack(files...))
		wantLines(t, name, c.read(t, path), numbers(0, 20_010))
		file(t, path, pack(append(files, packedFile{"c.json", text(numbers(1, 4))})...))
		wantLines(t, name+" appended to", c.read(t, path), numbers(1, 4))
	}
}

func TestAZipInAPipeOrAnotherArchiveIsNamed(t *testing.T) {
	inner := zipped(packedFile{"a.json", text(numbers(0, 3))})
	for name, o := range map[string]Options{
		"pipe":   {Paths: []string{Stdin}, Stdin: bytes.NewReader(inner)},
		"packed": {Paths: []string{file(t, "a.zip.gz", gzipped(inner))}},
		"tar":    {Paths: []string{file(t, "a.tar", tarred(packedFile{"a.json", inner}))}},
	} {
		c := newCollector()
		if _, err := c.run(t, o); err == nil || !strings.Contains(err.Error(), "zip") || len(c.lines) > 0 {
			t.Errorf("%s: %v, %d lines", name, err, len(c.lines))
		}
	}
	c := newCollector()
	if _, err := c.run(t, Options{Paths: []string{Stdin}, Stdin: bytes.NewReader(gzipped(tarred(packedFile{"a.json", text(numbers(0, 3))})))}); err != nil {
		t.Error(err)
	}
	wantLines(t, "a tar in a pipe", c.lines, numbers(0, 3))
}

func TestAnArchiveThatIsDamagedIsAnError(t *testing.T) {
	files := []packedFile{{"a.json", text(numbers(0, 1000))}, {"b.json", text(numbers(0, 1000))}}
	for name, pack := range archivers {
		data := pack(files...)
		c := newCollector()
		path := file(t, "a", data[:len(data)*3/4])
		if _, err := c.run(t, Options{Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// letters is a sink that keeps what cannot be decoded.
type letters struct {
	collector
	decoder post.Decoder
	what    []string
}

func (l *letters) take(b emitter.Block) {
	var p post.Post
	for i := range b.Len() {
		if _, err := b.Decode(i, &l.decoder, &p); err != nil {
			letter := b.Letter(i)
			l.what = append(l.what, fmt.Sprintf("%s:%d %s", filepath.Base(filepath.Dir(letter.From))+"/"+filepath.Base(letter.From), letter.Line, letter.Data))
		}
	}
}

func (l *letters) Send(ctx context.Context, b emitter.Block) error {
	l.take(b)
	return l.collector.Send(ctx, b)
}

func TestDamageIsToldWithMemberAndLine(t *testing.T) {
	path := file(t, "a.tar", tarred(packedFile{"x.json", []byte("{\"text\":\"#a\"}\nbad\n")}, packedFile{"y.sse", []byte("event: delete\ndata:\n\nevent: delete\ndata: 1\n\nevent: other\ndata: 2\n\ndata: {\"text\":\"#a\"}\n")}))
	l := &letters{collector: *newCollector()}
	if err := New(Options{Paths: []string{path}, Logger: slog.New(slog.DiscardHandler)}).Run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	want := []string{"a.tar/x.json:2 bad", "a.tar/y.sse:1 event: delete\ndata:"}
	if !slices.Equal(l.what, want) {
		t.Errorf("got %q, want %q", l.what, want)
	}
}

func TestEventsAreDecodedAsTheirNamesSay(t *testing.T) {
	status := `{"id":"7","uri":"https://a/7","created_at":"2026-08-20T10:00:00.000Z","visibility":"public","content":"","tags":[{"name":"covid19"}]}`
	var d post.Decoder
	for raw, want := range map[string]post.Post{
		"event: update\ndata: " + status:           {Source: post.SourceMastodon, Op: post.Create, Alias: []byte("7")},
		"event: status.update\r\ndata:" + status:   {Source: post.SourceMastodon, Op: post.Update, Alias: []byte("7")},
		"event: delete\ndata: 7\n":                 {Source: post.SourceMastodon, Op: post.Delete, Alias: []byte("7")},
		"data: {\"text\":\ndata: \"two lines\"}\n": {Source: post.SourceX},
	} {
		var p post.Post
		_, err := decodeEvent([]byte(raw), &d, &p)
		if err != nil || p.Source != want.Source || p.Op != want.Op || string(p.Alias) != string(want.Alias) {
			t.Errorf("%q is %+v, %v", raw, p, err)
		}
	}
}
