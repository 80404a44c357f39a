package kafkalog

import (
	"errors"
	"testing"
	"time"
)

// Of what fails for several readers one failure is news, and one success after
// it; and a failure that was under way when another attempt worked is none.
func TestTroublesAreNewsOnce(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	gone := errors.New("gone")
	all := troubles{of: map[int32]trouble{}}
	for i, x := range []struct {
		broker       int32
		began, ended int
		err          error
		news         bool
	}{
		{1, 0, 1, nil, false},
		{1, 1, 2, gone, true},
		{1, 2, 3, gone, false},
		{2, 2, 3, gone, true},
		{none, 2, 3, nil, false},
		{1, 4, 6, nil, true},
		{1, 5, 7, gone, false}, // under way at 6
		{1, 6, 8, nil, false},
		{2, 8, 9, gone, false},
		{1, 9, 10, gone, true},
		{2, 9, 10, nil, true},
	} {
		if news := all.note(x.broker, at(x.began), at(x.ended), x.err); news != x.news {
			t.Errorf("attempt %d: news %v, want %v", i, news, x.news)
		}
	}
}
