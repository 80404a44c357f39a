package live

import (
	"sync"
	"time"

	"github.com/tagtide/tagtide/emitter"
)

// A Keeper keeps the [emitter.State] of a source. Safe for concurrent use.
type Keeper struct {
	now func() time.Time

	mu    sync.Mutex
	state emitter.State
}

// NewKeeper returns the keeper of a source that will connect.
func NewKeeper(now func() time.Time) *Keeper {
	return &Keeper{now: now, state: emitter.State{Phase: emitter.Connecting, Since: now()}}
}

// State returns what was told to the keeper.
func (k *Keeper) State() emitter.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Connecting tells that a connection to a peer is being made.
func (k *Keeper) Connecting(peer string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.enter(emitter.Connecting)
	k.state.Peer = peer
}

// Connected tells that the connection stands. That is a sign of life.
func (k *Keeper) Connected() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.enter(emitter.Connected)
	k.state.Heard = k.state.Since
}

// Heard tells that something came.
func (k *Keeper) Heard() {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Heard = now
}

// Lost tells that a connection was lost or could not be made, and why. The
// words of err are shown to everybody: they must hold no secret.
func (k *Keeper) Lost(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.enter(emitter.Waiting)
	k.state.Reconnects++
	k.state.Problem = err.Error()
}

// Stopped tells that the source will not go on by itself, and why if that is a
// problem. What [Keeper.Lost] says of err holds here.
func (k *Keeper) Stopped(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.enter(emitter.Stopped)
	if err != nil {
		k.state.Problem = err.Error()
	}
}

func (k *Keeper) enter(p emitter.Phase) { k.state.Phase, k.state.Since = p, k.now() }
