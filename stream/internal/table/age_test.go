package table

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// An aging is an aging table whose rows live for a second, beside a plain map
// of when each was set.
type aging struct {
	*testing.T
	*Table
	kept  store.Table
	apply func([]store.Change, bool) error
	now   int64 // stream time
	model map[string]int64
}

func newAging(t *testing.T) *aging {
	s, kept := open(t)
	a := &aging{T: t, kept: kept, apply: s.Apply, now: 1_000_000, model: map[string]int64{}}
	a.reopen()
	return a
}

func (a *aging) reopen() {
	var err error
	if a.Table, err = NewAging(a.kept, time.Second); err != nil {
		a.Fatal(err)
	}
	a.age.minimum = 4
	a.Reach(a.now)
}

func (a *aging) set(key string) {
	a.Set(key, []byte("v"), a.now)
	a.model[key] = a.now
}

func (a *aging) remove(key string) {
	a.Set(key, nil, a.now)
	delete(a.model, key)
}

func (a *aging) pass(milli int64) {
	a.now += milli
	a.Reach(a.now)
}

func (a *aging) check(key string) {
	a.Helper()
	_, ok, err := a.Get(key)
	at, there := a.model[key]
	if want := there && a.now-at <= 1000; err != nil || ok != want {
		a.Fatalf("%s is there: %v, %v; set at %d, now %d", key, ok, err, at, a.now)
	}
}

// commit commits what was set before it, while during sets more.
func (a *aging) commit(during func()) {
	a.Seal()
	during()
	c := a.Change(a.kept.Checkpoint().Next+1, time.Time{})
	if !c.Lazy {
		a.Fatal("the change of an aging table is not lazy")
	}
	if err := a.Sweep(&c); err != nil {
		a.Fatal(err)
	}
	if err := a.apply([]store.Change{c}, false); err != nil {
		a.Fatal(err)
	}
	a.Applied()
}

// stored counts the rows in the store, and holds them to what is known of them.
func (a *aging) stored() (rows int) {
	err := a.kept.Scan(nil, func(key, row []byte) bool {
		rows++
		if setAt(row) < a.age.oldest {
			a.Fatalf("%s was set at %d, before the oldest row, %d", key, setAt(row), a.age.oldest)
		}
		return true
	})
	if err != nil {
		a.Fatal(err)
	}
	return rows
}

// A key above all others is new, unless it was deleted just now.
func TestADeletedKeyIsSetAgain(t *testing.T) {
	a := newAging(t)
	for _, key := range []string{"a", "b", "c"} {
		a.remove(key)
		a.set(key)
		a.set(key)
		a.check(key)
		if a.Len() != 1 {
			t.Errorf("%d keys are staged, want one", a.Len())
		}
		a.commit(func() {})
		a.check(key)
	}
}

// A row is seen for as long as it lives, in the stages and in the store, and is
// gone from the store some time after.
func TestRowsEndAndAreSwept(t *testing.T) {
	a := newAging(t)
	random := rand.New(rand.NewPCG(1, 2))
	work := func() {
		for range random.IntN(20) {
			a.pass(random.Int64N(30))
			if key := fmt.Sprint(random.IntN(300)); random.IntN(8) > 0 {
				a.set(key)
			} else {
				a.remove(key)
			}
			a.check(fmt.Sprint(random.IntN(300)))
		}
	}
	for range 2000 {
		work()
		a.commit(work)
		a.stored()
		if random.IntN(100) == 0 {
			a.commit(func() {})
			a.reopen()
		}
	}
	for range 200 {
		a.pass(100)
		a.set("last")
		a.commit(func() {})
	}
	if n := a.stored(); n != 1 {
		t.Errorf("the store has %d rows, all but one of which ended long ago", n)
	}
}

// As long as nothing can have ended nothing is swept: while the first rows
// live, commits cost no look at the store.
func TestWhileAllRowsLiveNoneIsLookedAt(t *testing.T) {
	a := newAging(t)
	a.commit(func() {})
	for n := range 100 {
		a.pass(10)
		a.set(fmt.Sprint(n))
		a.commit(func() {})
		if n > 1 && a.age.swept != nil {
			t.Fatalf("after %d commits a sweep is at %q", n, a.age.swept)
		}
	}
}
