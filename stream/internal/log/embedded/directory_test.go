package embedded

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/log"
)

func TestDirectoryIsUsedByOneProcess(t *testing.T) {
	if dir := os.Getenv("EMBEDDED_TEST_DIR"); dir != "" {
		// The other process: it says what it finds.
		l, err := Open(dir, Options{})
		if err == nil {
			err = l.Close()
		}
		if errors.Is(err, log.ErrInUse) {
			os.Stdout.WriteString("in use: " + err.Error())
		}
		return
	}
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, log.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second log in the process: %v", err)
	}
	self := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDirectoryIsUsedByOneProcess$")
		cmd.Env = append(os.Environ(), "EMBEDDED_TEST_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("other process: %v: %s", err, out)
		}
		return string(out)
	}
	if out := self(); !strings.Contains(out, "in use: ") || !strings.Contains(out, dir) {
		t.Errorf("second process while the log is open: %s", out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out := self(); strings.Contains(out, "in use") {
		t.Errorf("second process after the log was closed: %s", out)
	}
}

func TestLogKeepsItsID(t *testing.T) {
	fs := vfs.NewMem()
	ids := map[string]bool{}
	for range 3 {
		l, err := Open("log", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		ids[l.ID()] = true
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 1 || ids[""] {
		t.Errorf("ids %v", ids)
	}
}

func TestUnknownFormatsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(fs vfs.FS)
		want    string
		damaged bool
	}{
		"newer":   {func(fs vfs.FS) { write(t, fs, "log/FORMAT", `{"format":2,"id":"x"}`) }, "format 2", false},
		"garbage": {func(fs vfs.FS) { write(t, fs, "log/FORMAT", "\x00\x01") }, "FORMAT", true},
		"data is missing": {func(fs vfs.FS) {
			if err := fs.RemoveAll("log/data"); err != nil {
				t.Fatal(err)
			}
		}, "does not exist", true},
		"format is missing": {func(fs vfs.FS) {
			if err := fs.Remove("log/FORMAT"); err != nil {
				t.Fatal(err)
			}
		}, "FORMAT is missing", true},
		"pebble of another program": {func(fs vfs.FS) {
			db, err := pebble.Open("other", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set([]byte("Tx"), []byte("y"), pebble.Sync), db.Close(), fs.RemoveAll("log/data"), fs.Rename("other", "log/data")); err != nil {
				t.Fatal(err)
			}
		}, "topic", true},
	} {
		t.Run(name, func(t *testing.T) {
			fs, _ := aged(t)
			c.prepare(fs)
			_, err := Open("log", Options{FS: fs})
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, log.ErrDamaged) != c.damaged {
				t.Errorf("opened with %v", err)
			}
		})
	}
}

func write(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// aged returns the files of a log that lived, and what was found in it after
// each step.
func aged(t *testing.T) (*vfs.MemFS, []string) {
	t.Helper()
	fs := vfs.NewMem()
	h := &history{t: t, rng: rand.New(rand.NewPCG(3, 3))}
	var fate Fate
	var err error
	if h.log, err = Open("log", historyOptions(fs, &fate)); err != nil {
		t.Fatal(err)
	}
	h.done()
	h.live(&fate)
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, h.dumps
}

// TestDamageIsNoticed flips bits all over the files. Whatever is found must be
// what was written, or an error. Only at the end of the write-ahead log can a
// bit make the last steps look as if they had not been finished.
func TestDamageIsNoticed(t *testing.T) {
	fs, dumps := aged(t)
	names, err := fs.List("log/data")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	noticed, unharmed := 0, 0
	for _, name := range names {
		for part := range 16 {
			c := clone(t, fs)
			if !flip(t, c, path.Join("log/data", name), part) {
				continue
			}
			found, err := look(c)
			if err == nil && found == dumps[len(dumps)-1] {
				unharmed++
				continue
			}
			noticed++
			switch {
			case err == nil && path.Ext(name) == ".log" && slices.Contains(dumps, found):
			case err == nil:
				t.Errorf("%s damaged at %d/16, and found:\n%s", name, part, found)
			case !errors.Is(err, log.ErrDamaged):
				t.Errorf("%s damaged at %d/16: %v", name, part, err)
			}
		}
	}
	t.Logf("%d flips noticed, %d without effect", noticed, unharmed)
	if noticed < 50 {
		t.Errorf("only %d flips had an effect", noticed)
	}
}

// look opens a log and reads everything.
func look(fs vfs.FS) (string, error) {
	var fate Fate
	l, err := Open("log", historyOptions(fs, &fate))
	if err != nil {
		return "", err
	}
	found, err := dump(l)
	if err == nil {
		err = l.Compact(context.Background())
	}
	if errors.Is(err, log.ErrDamaged) {
		l.Close()
		return "", err
	}
	return found, errors.Join(err, l.Close())
}

func clone(t *testing.T, fs *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	c := vfs.NewMem()
	if ok, err := vfs.Clone(fs, c, "log", "log"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return c
}

// flip turns one bit of a file around, in the given sixteenth of it.
func flip(t *testing.T, fs vfs.FS, name string, part int) bool {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if len(text) < 16 {
		return false
	}
	text[len(text)*part/16] ^= 0x10
	write(t, fs, name, string(text))
	return true
}

// A fullFS has a disk of its own size.
type fullFS struct {
	*vfs.MemFS
	free uint64
}

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free, TotalBytes: 1 << 40}, nil
}

func TestFullDiskRefusesCommitsAndTakesThemAgain(t *testing.T) {
	ctx := context.Background()
	fs := &fullFS{vfs.NewMem(), 1 << 30}
	var fate Fate
	l, err := Open("log", historyOptions(fs, &fate))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := &history{t: t, rng: rand.New(rand.NewPCG(1, 1)), log: l}
	err = errors.Join(l.CreateTopic(ctx, log.Topic{Name: "tweets", Partitions: 2}), l.CreateTopic(ctx, log.Topic{Name: "table"}))
	p, err2 := l.Producer(ctx, "x")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	for _, free := range []uint64{1 << 30, 1 << 20, 1 << 30} {
		fs.free = free
		before, _ := dump(l)
		_, err := p.Commit(ctx, h.txn(1))
		if full := free < spareBytes; full != errors.Is(err, ErrDiskFull) || !full && err != nil {
			t.Fatalf("with %d bytes free: %v", free, err)
		}
		if after, _ := dump(l); err != nil && after != before {
			t.Errorf("a refused commit left something: %s", after)
		}
	}
}
