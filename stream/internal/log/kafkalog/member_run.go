package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A runner is what only run knows.
type runner struct {
	*member
	helpers sync.WaitGroup
	joined  chan joined // of capacity 1
	beaten  chan beat   // of capacity 1
	joining bool        // a helper joins
	beating bool        // a helper beats
	cancel  context.CancelFunc
	lives   int    // those of the round under way
	wanted  bool   // a round is due, though nobody asked
	asked   uint64 // asks that the last round told
	pause   backoff
	again   <-chan time.Time // not before; nil: at once
	silent  bool             // the last beat was not answered
}

// cadence is the time between beats. It is how fast a member learns that a
// rebalance has begun, for which a task that moves waits without an owner, so it
// is much shorter than what keeps a session.
func (m *member) cadence() time.Duration {
	const shortest, longest, perSession = 20 * time.Millisecond, 100 * time.Millisecond, 40
	return min(max(m.session/perSession, shortest), longest)
}

// run is the member's goroutine.
func (m *member) run(sent func()) {
	r := &runner{member: m, joined: make(chan joined, 1), beaten: make(chan beat, 1), wanted: true, cancel: func() {}}
	defer close(m.done)
	defer sent()
	defer m.joins.drop()
	defer m.beats.drop()
	defer r.last()
	defer r.helpers.Wait()
	defer m.end()
	ticks := time.NewTicker(m.cadence())
	defer ticks.Stop()
	for {
		r.startJoin(sent)
		select {
		case <-m.life.Done():
			return
		case <-m.wake:
		case <-r.again:
			r.again = nil
		case j := <-r.joined:
			r.joining = false
			r.tookJoin(j)
		case b := <-r.beaten:
			r.beating = false
			r.tookBeat(b)
		case <-ticks.C:
			r.startBeat()
		}
		if !r.check() {
			return
		}
	}
}

// check looks at the clock, and whether the member goes on.
func (r *runner) check() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(time.Now())
	if r.joining && r.lives != r.member.lives {
		r.cancel() // a round of a membership that was given up
	}
	return r.err == nil
}

// startJoin begins a round if one is due and none is under way.
func (r *runner) startJoin(sent func()) {
	if r.joining || r.again != nil {
		return
	}
	j, due := r.due()
	if !due {
		return
	}
	ctx, cancel := context.WithCancel(r.life)
	r.joining, r.cancel, r.wanted, r.lives = true, cancel, false, j.lives
	r.helpers.Go(func() {
		defer cancel()
		r.joined <- r.enter(ctx, j, sent)
	})
}

// due tells whether a round is due, and what it says. What was assigned and
// not taken up by Poll never is: the round says so.
func (r *runner) due() (joining, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost || !r.wanted && r.asks == r.asked {
		return joining{}, false
	}
	r.next = nil
	e := envelope{asks: r.asks, assignment: r.claim.Assignment, metadata: r.metadata}
	j := joining{id: r.id, abandoned: slices.Clone(r.abandoned), lives: r.member.lives, asks: r.asks, envelope: e.append(nil)}
	return j, true
}

// last takes the end of a round that run has not waited for.
func (r *runner) last() {
	select {
	case j := <-r.joined:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.known(j)
	default:
	}
}

// known takes what the group knows us by after a round, however it ended. It
// tells whether that is still us. r.mu is held.
func (r *runner) known(j joined) bool {
	// Who is fenced is another's predecessor, and has nothing to end.
	r.unnamed = j.id == "" && (r.unnamed || j.unnamed) && !errors.Is(j.err, sarama.ErrFencedInstancedId)
	if j.left {
		r.abandoned = slices.DeleteFunc(r.abandoned, func(id string) bool { return slices.Contains(j.abandoned, id) })
	}
	if j.lives != r.member.lives {
		r.abandon(j.id)
		return false
	}
	r.id = j.id
	return true
}

// tookJoin takes the end of a round.
func (r *runner) tookJoin(j joined) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.known(j):
		r.wanted = true
	case j.err != nil:
		r.failedJoin(j)
	default:
		r.pause, r.asked = backoff{}, j.asks
		r.alive = later(r.alive, j.at)
		r.next = &log.Claim{
			GroupClaim: log.GroupClaim{Group: r.group, Member: j.id, Generation: j.generation},
			Assignment: j.assignment,
		}
		r.log.o.Logger.Debug("member of the group", "group", r.group, "member", j.id, "generation", j.generation)
		signal(r.ready)
	}
}

// failedJoin decides what comes after a round that failed. r.mu is held.
func (r *runner) failedJoin(j joined) {
	err, final := r.final(j.err)
	if final {
		r.fail(err)
		return
	}
	r.wanted = true
	var k sarama.KError
	switch errors.As(err, &k); k {
	case sarama.ErrUnknownMemberId:
		r.lose(err)
	case sarama.ErrRebalanceInProgress, sarama.ErrIllegalGeneration:
		// The group has moved on meanwhile: at once.
	default:
		r.log.o.Logger.Debug("cannot join for now, trying again", "group", r.group, "error", err)
		r.again = time.After(r.pause.next())
	}
}

// fail ends the membership for good. r.mu is held.
func (r *runner) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	signal(r.ready)
}

// A beat is one heartbeat, and its end.
type beat struct {
	id         string
	generation int32
	at         time.Time // when it was sent
	err        error
}

// startBeat sends a heartbeat, if the group knows us and none is under way.
func (r *runner) startBeat() {
	r.mu.Lock()
	b := beat{id: r.id, generation: r.generation}
	r.mu.Unlock()
	if r.beating || b.generation < 0 {
		return
	}
	r.beating = true
	r.helpers.Go(func() { r.beaten <- r.beat(b) })
}

// beat makes one heartbeat.
func (m *member) beat(b beat) beat {
	// Shorter than a session, so that another broker can be tried in time.
	ctx, cancel := context.WithTimeout(m.life, m.session/3)
	defer cancel()
	x, err := m.beats.to(ctx)
	if err != nil {
		b.err = err
		return b
	}
	stop := x.during(ctx)
	b.at = time.Now()
	r, err := x.Heartbeat(&sarama.HeartbeatRequest{
		Version: 4, GroupId: m.group, GenerationId: b.generation, MemberId: b.id, GroupInstanceId: m.instance(),
	})
	if b.err = err; err == nil {
		b.err = answer(r.Err)
	}
	if !stop() || !answered(b.err) || elsewhere(b.err) {
		m.beats.drop()
		m.log.cluster.coordinatorMoved(groupCoordinator, m.group)
	}
	return b
}

// tookBeat takes the end of a heartbeat.
func (r *runner) tookBeat(b beat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard(b.err)
	if b.id != r.id {
		return
	}
	same := b.generation == r.generation && !r.joining
	var k sarama.KError
	errors.As(b.err, &k)
	switch {
	case b.err == nil:
		r.alive = later(r.alive, b.at)
	case k == sarama.ErrRebalanceInProgress:
		r.alive = later(r.alive, b.at)
		r.wanted = r.wanted || same
	case k == sarama.ErrIllegalGeneration:
		r.wanted = r.wanted || same
	case k == sarama.ErrFencedInstancedId:
		err, _ := r.final(b.err)
		r.fail(err)
	case k == sarama.ErrUnknownMemberId && same:
		r.wanted = true
		r.lose(fmt.Errorf("heartbeat: %w", b.err))
	}
}

// heard logs when the group stops answering, and when it does again.
func (r *runner) heard(err error) {
	silent := err != nil && (!answered(err) || elsewhere(err))
	switch {
	case silent && !r.silent:
		r.log.o.Logger.Warn("the group's coordinator does not answer, trying again", "group", r.group, "error", err)
	case r.silent && !silent:
		r.log.o.Logger.Info("the group's coordinator answers again", "group", r.group)
	}
	r.silent = silent
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
