package kafkalog

import (
	"sync"
	"time"
)

// Troubles are the brokers that readers cannot reach, so that operators hear of
// each once, and once when it is back, however many readers there are. Safe for
// concurrent use.
type troubles struct {
	mu sync.Mutex
	of map[int32]trouble // guarded by mu; by broker, none for all of them together
}

// A trouble is how the last attempts with a broker ended.
type trouble struct {
	failing bool
	worked  time.Time // when the last attempt that did ended
}

// note takes the outcome of an attempt that began at a time and has ended now,
// and tells whether it is news. A failure of an attempt that was begun before
// another one worked tells nothing: the next one will.
func (t *troubles) note(broker int32, began, now time.Time, err error) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.of[broker]
	is := trouble{failing: err != nil, worked: was.worked}
	switch {
	case err == nil:
		is.worked = now
	case began.Before(was.worked):
		return false
	}
	t.of[broker] = is
	return is.failing != was.failing
}

// report logs when something begins to fail, and when it works again; not each
// time, and not for each reader.
func (l *Log) report(broker int32, began time.Time, err error, bad, good string, args ...any) {
	switch {
	case !l.troubles.note(broker, began, time.Now(), err):
	case err != nil:
		l.o.Logger.Warn(bad, append(args, "error", err)...)
	default:
		l.o.Logger.Info(good, args...)
	}
}
