package ranking

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A scene has tags that stay where they are among tags that move all the time.
type scene struct {
	Index
	still []Key // in order
}

func newScene() *scene {
	s := new(scene)
	for i := range 2000 {
		k := Key{Count: int64(1 + i%50), Tag: fmt.Sprintf("still%05d", i)}
		s.still = append(s.still, k)
		s.Set(k.Tag, k.Count)
	}
	slices.SortFunc(s.still, Key.compare)
	return s
}

// move gives new counts to some of the tags that move; some come, some leave.
func (s *scene) move(r *rand.Rand, n int) {
	batch := make([]Update, n)
	for i := range batch {
		at := r.IntN(3000)
		batch[i] = Update{fmt.Sprintf("%s%05d", []string{"still-moves", "moves"}[at%2], at), r.Int64N(60) - 5}
	}
	s.Apply(batch)
}

// pages reads page by page to the end.
func (s *scene) pages(limit int, prefix string, between func()) (rows []Row) {
	var after *Key
	for {
		page, more := s.Page(after, limit, prefix)
		rows = append(rows, page...)
		if !more {
			return rows
		}
		after = new(page[len(page)-1].Key())
		between()
	}
}

// checkStill tells whether rows are in order, and hold each tag that stayed
// exactly once.
func (s *scene) checkStill(rows []Row) error {
	var still []Key
	for i, r := range rows {
		if i > 0 && !rows[i-1].Key().Before(r.Key()) {
			return fmt.Errorf("%v comes before %v", rows[i-1], r)
		}
		if strings.HasPrefix(r.Tag, "still0") {
			still = append(still, r.Key())
		}
	}
	if !slices.Equal(still, s.still) {
		return fmt.Errorf("%d tags stayed, %d of them seen", len(s.still), len(still))
	}
	return nil
}

func TestPagesNeitherRepeatNorSkipWhatDidNotMove(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	s := newScene()
	s.move(r, 3000)
	for _, limit := range []int{7, 100, holdRows - 1, 1000} {
		for _, prefix := range []string{"", "s", "still", "still0"} {
			rows := s.pages(limit, prefix, func() { s.move(r, 200) })
			if err := s.checkStill(rows); err != nil {
				t.Errorf("pages of %d with %q: %v", limit, prefix, err)
			}
		}
	}
}

// The same while others write, and with searches of several holds.
func TestReadersSeeOrderWhileWritersMoveTags(t *testing.T) {
	s := newScene()
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for i := range uint64(2) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(i, 13))
			for {
				select {
				case <-stop:
					return
				default:
					s.move(r, 500)
				}
			}
		})
	}
	for i := range 3 {
		readers.Go(func() { s.readOn(t, i) })
	}
	readers.Wait()
	close(stop)
	writers.Wait()
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

func (s *scene) readOn(t *testing.T, seed int) {
	for i := range 15 {
		for _, rows := range [][]Row{
			slices.Collect(s.All()),
			s.pages(100+seed, "", func() {}),
			s.pages(300, "still", func() {}),
			s.gather(nil, 10_000, "still"),
		} {
			if err := s.checkStill(rows); err != nil {
				t.Error(err)
			}
		}
		top := s.Top(50)
		if len(top) != 50 || !slices.IsSortedFunc(top, func(a, b Row) int { return a.Key().compare(b.Key()) }) {
			t.Errorf("the top is %v", top)
		}
		want := s.still[i*100]
		if row, ok := s.Get(want.Tag); !ok || row.Key() != want || row.Rank < int64(i*100) || row.Rank > 5000 {
			t.Errorf("%v is %v %v", want, row, ok)
		}
	}
}
