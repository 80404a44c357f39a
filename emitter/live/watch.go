package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrSilent is why a [Watch] ends its context.
var ErrSilent = errors.New("the connection is silent")

// A Watch ends a context when nothing comes while somebody listens. Who does
// not listen, since the sink holds him back, hears nothing without that being
// the peer's fault. It is for one goroutine, that which reads.
type Watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer
}

// NewWatch returns a watch, and the context that it ends. The caller ends it
// with [Watch.End].
func NewWatch(ctx context.Context, limit time.Duration) (context.Context, *Watch) {
	w := &Watch{limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() {
		w.cancel(fmt.Errorf("%w: nothing came for %v", ErrSilent, limit))
	})
	w.timer.Stop()
	return w.ctx, w
}

// Listen tells that somebody listens from now on, or heard something.
func (w *Watch) Listen() { w.timer.Reset(w.limit) }

// Rest tells that nobody listens.
func (w *Watch) Rest() { w.timer.Stop() }

// End ends the watch and its context.
func (w *Watch) End() {
	w.timer.Stop()
	w.cancel(nil)
}

// Why returns the reason of err, which somebody got who listened: that ctx
// ended, if it did, or err itself.
func (w *Watch) Why(err error) error {
	if cause := context.Cause(w.ctx); err != nil && err != io.EOF && cause != nil {
		return cause
	}
	return err
}

// Reader returns r, listened to while it is read. Reading r must end when the
// watch's context does.
func (w *Watch) Reader(r io.Reader) io.Reader { return &watched{w, r} }

type watched struct {
	*Watch
	r io.Reader
}

func (w *watched) Read(p []byte) (int, error) {
	w.Listen()
	defer w.Rest()
	n, err := w.r.Read(p)
	return n, w.Why(err)
}
