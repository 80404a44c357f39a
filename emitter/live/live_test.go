package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSchedulesWaitAsTheNetworksAsk(t *testing.T) {
	for _, test := range []struct {
		Schedule
		want string // after 0, 1, 2, … failures
	}{
		{Schedule{}, "0s 0s 0s"},
		{Schedule{First: 250 * time.Millisecond, Max: time.Second}, "0s 250ms 500ms 750ms 1s 1s"},
		{Schedule{First: 5 * time.Second, Factor: 2, Max: 30 * time.Second}, "0s 5s 10s 20s 30s 30s"},
		{Schedule{First: time.Minute, Factor: 1, Max: time.Hour}, "0s 1m0s 1m0s"},
	} {
		var got []string
		for n := range len(strings.Fields(test.want)) {
			got = append(got, test.After(n).String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, not %v", test.Schedule, got, test.want)
		}
	}
	if got := (Schedule{First: time.Second, Factor: 2, Max: time.Hour}).After(1 << 30); got != time.Hour {
		t.Errorf("after very many failures: %v", got)
	}
}

func TestJitterIsNeverShorterAndAtMostHalfLonger(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 200 {
		d := Jitter(time.Second)
		if d < time.Second || d > 1500*time.Millisecond {
			t.Fatalf("%v", d)
		}
		seen[d] = true
	}
	if len(seen) < 100 {
		t.Errorf("only %d different waits in 200", len(seen))
	}
	if Jitter(0) != 0 {
		t.Error("no wait became one")
	}
}

func TestRetryAfterTakesSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 8, 20, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999": 24 * time.Hour,
		"Thu, 20 Aug 2026 10:00:30 GMT": 30 * time.Second, "Thu, 20 Aug 2026 09:00:00 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, not %v", value, got, want)
		}
	}
}

func TestKeeperTellsWhatItWasTold(t *testing.T) {
	now := time.Date(2026, 8, 20, 10, 0, 0, 0, time.UTC)
	start := now
	k := NewKeeper(func() time.Time { now = now.Add(time.Second); return now })
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	check := func(what string, want emitter.State) {
		t.Helper()
		if got := k.State(); got != want {
			t.Errorf("%s: %+v, not %+v", what, got, want)
		}
	}
	check("new", emitter.State{Phase: emitter.Connecting, Since: at(1)})
	k.Connecting("a")
	k.Connected()
	check("connected", emitter.State{Phase: emitter.Connected, Peer: "a", Since: at(3), Heard: at(3)})
	k.Heard()
	k.Lost(errors.New("gone"))
	check("lost", emitter.State{Phase: emitter.Waiting, Peer: "a", Since: at(5), Heard: at(4), Reconnects: 1, Problem: "gone"})
	k.Connecting("b")
	check("next", emitter.State{Phase: emitter.Connecting, Peer: "b", Since: at(6), Heard: at(4), Reconnects: 1, Problem: "gone"})
	k.Stopped(nil)
	check("stopped", emitter.State{Phase: emitter.Stopped, Peer: "b", Since: at(7), Heard: at(4), Reconnects: 1, Problem: "gone"})
}

// TestSilenceEndsTheContextOnlyWhileListening: that is, not while the sink
// holds back who would listen.
func TestSilenceEndsTheContextOnlyWhileListening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := NewWatch(t.Context(), time.Minute)
		defer w.End()
		r, out := io.Pipe()
		stop := context.AfterFunc(ctx, func() { _ = r.CloseWithError(errors.New("closed")) })
		defer stop()
		body := w.Reader(r)
		go func() {
			for range 3 {
				time.Sleep(59 * time.Second)
				_, _ = out.Write([]byte("x"))
			}
		}()
		for range 3 {
			if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // nobody listens
		}
		began := time.Now()
		_, err := body.Read(make([]byte, 1))
		if !errors.Is(err, ErrSilent) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if want := "the connection is silent: nothing came for 1m0s"; err.Error() != want {
			t.Errorf("%q, not %q", err, want)
		}
	})
}

func TestEndOfStreamIsNoSilence(t *testing.T) {
	_, w := NewWatch(t.Context(), time.Hour)
	w.End()
	if _, err := w.Reader(strings.NewReader("")).Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// line is what [Lines] should make of one.
type line struct {
	data string
	long int64
	err  error
}

// splitLines is Lines in the obvious way, all in memory.
func splitLines(data string, max int) (lines []line) {
	for data != "" {
		one, rest, whole := strings.Cut(data, "\n")
		if !whole {
			return append(lines, line{err: io.ErrUnexpectedEOF})
		}
		if one = strings.TrimSuffix(one, "\r"); len(one) > max {
			lines = append(lines, line{data: one[:max], long: int64(len(one))})
		} else {
			lines = append(lines, line{data: one})
		}
		data = rest
	}
	return append(lines, line{err: io.EOF})
}

func readLines(r io.Reader, max int) (lines []line) {
	l := NewLines(r, max)
	for {
		data, err := l.Next()
		var long *LongError
		switch {
		case errors.As(err, &long):
			lines = append(lines, line{data: string(long.Head), long: long.Bytes})
		case err != nil:
			return append(lines, line{err: err})
		default:
			lines = append(lines, line{data: string(data)})
		}
	}
}

func FuzzLinesAreThoseOfTheObviousWay(f *testing.F) {
	f.Add("a\nb\r\n\r\n\n", 3)
	f.Add("abcd\r\nabc\r\nabcd\nab", 3)
	f.Add(strings.Repeat("x", 16<<10-1)+"\r\ny\n", 16<<10)
	f.Add(strings.Repeat("x", 16<<10-1)+"\r\ny\n", 20)
	f.Fuzz(func(t *testing.T, data string, max int) {
		max = 1 + int(uint(max)%(64<<10))
		want := splitLines(data, max)
		for _, r := range []io.Reader{strings.NewReader(data), iotest.HalfReader(strings.NewReader(data))} {
			if got := readLines(r, max); !slices.Equal(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}

// zeros is a line that would not fit into memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func TestHostileLineIsNotHeld(t *testing.T) {
	const huge = 100 << 20
	l := NewLines(io.MultiReader(&zeros{huge}, strings.NewReader("\nnext\n")), 1<<20)
	_, err := l.Next()
	if long := (*LongError)(nil); !errors.As(err, &long) || long.Bytes != huge || len(long.Head) != 1<<20 {
		t.Fatalf("%v", err)
	}
	if cap(l.buf) > 4<<20 {
		t.Errorf("holds %d bytes", cap(l.buf))
	}
	if data, err := l.Next(); string(data) != "next" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestInboxHandsOverEverythingInOrderAndBounded(t *testing.T) {
	const limit, many = 1 << 10, 5000
	in := NewInbox[int](limit)
	var adding sync.WaitGroup
	adding.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range many {
			if err := in.Add(t.Context(), message(i, rnd.IntN(limit)), i); err != nil {
				t.Error(err)
			}
		}
		in.Close(io.EOF)
	})
	defer adding.Wait()
	next, rnd := 0, rand.New(rand.NewPCG(1, 2))
	for {
		b, err := in.Take(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Len() > 1 && len(b.data) > limit {
			t.Fatalf("%d bytes waited", len(b.data))
		}
		for i := range b.Len() {
			data, meta := b.At(i)
			if meta != next || !bytes.Equal(data, message(next, rnd.IntN(limit))) {
				t.Fatalf("message %d is %d, %q", next, meta, data)
			}
			next++
		}
	}
	if next != many {
		t.Errorf("%d messages of %d", next, many)
	}
}

func message(i, size int) []byte {
	return append(fmt.Appendf(nil, "%d:", i), bytes.Repeat([]byte{'x'}, size)...)
}

func TestInboxHoldsBackWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewInbox[struct{}](10)
		added := 0
		go func() {
			for range 5 {
				if in.Add(t.Context(), make([]byte, 4), struct{}{}) == nil {
					added++
				}
			}
			in.Close(io.EOF)
		}()
		for _, want := range []int{2, 4, 5} {
			synctest.Wait()
			if added != want {
				t.Fatalf("%d were added, not %d", added, want)
			}
			if _, err := in.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := in.Take(t.Context()); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestInboxStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	in := NewInbox[struct{}](1)
	if err := in.Add(ctx, []byte("x"), struct{}{}); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	cancel(why)
	if err := in.Add(ctx, []byte("y"), struct{}{}); err != why {
		t.Errorf("add: %v", err)
	}
	if _, err := in.Take(ctx); err != nil {
		t.Errorf("what came is lost: %v", err)
	}
	if _, err := in.Take(ctx); err != why {
		t.Errorf("take: %v", err)
	}
	if err := Sleep(ctx, time.Hour); err != why {
		t.Errorf("sleep: %v", err)
	}
}
