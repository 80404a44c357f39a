package kafkalog

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// The keys of the requests that are tampered with.
const (
	keyProduce          = 0
	keyHeartbeat        = 12
	keyJoinGroup        = 11
	keyLeaveGroup       = 13
	keySyncGroup        = 14
	keyInitProducerID   = 22
	keyAddPartitions    = 24
	keyAddOffsets       = 25
	keyEndTxn           = 26
	keyTxnOffsetCommit  = 28
	correlationAt       = 8
	responseCorrelation = 4
)

// A wire lies beneath a log's connections, understands Kafka's frames, and
// loses some.
//
//	request  │ length │ key │ version │ correlation │ …
//	answer   │ length │ correlation │ …
type wire struct {
	mu    sync.Mutex
	fates []*fate
	dead  bool // nothing passes, but connections stay open
	wait  chan struct{}
}

// A fate is what becomes of the next request with a key.
type fate struct {
	key   int16
	sent  bool          // the request arrives, and only its answer is lost
	hold  bool          // the request arrives, and nothing else passes until heal
	spent chan struct{} // closed when it has happened
}

// lose cuts the connection at the next request with a key: before it leaves,
// or, sent, after it was applied and before its answer arrives.
func (w *wire) lose(key int16, sent bool) (happened <-chan struct{}) {
	return w.next(&fate{key: key, sent: sent})
}

// hold stops the wire behind the next request with a key: it arrives, its
// answer does not before heal.
func (w *wire) hold(key int16) (happened <-chan struct{}) {
	return w.next(&fate{key: key, hold: true})
}

func (w *wire) next(f *fate) (happened <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.spent = make(chan struct{})
	w.fates = append(w.fates, f)
	return f.spent
}

// stop lets nothing pass any more, until heal.
func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead, w.wait = true, make(chan struct{})
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = false
	close(w.wait)
}

// blocked is closed when frames may pass again, or nil if they may now.
func (w *wire) blocked() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead {
		return nil
	}
	return w.wait
}

func (w *wire) take(key int16) *fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, f := range w.fates {
		if f.key == key {
			w.fates = append(w.fates[:i], w.fates[i+1:]...)
			return f
		}
	}
	return nil
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tampered{Conn: c, wire: w, lost: map[uint32]*fate{}, closed: make(chan struct{})}, nil
}

// tampered is one connection. sarama writes a request with one Write.
type tampered struct {
	net.Conn
	wire   *wire
	rest   []byte // of the answer that is being read
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex
	lost map[uint32]*fate // by correlation of the request
}

func (c *tampered) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// pass waits until the wire lets frames pass.
func (c *tampered) pass() error {
	if wait := c.wire.blocked(); wait != nil {
		select {
		case <-wait:
		case <-c.closed:
			return net.ErrClosed
		}
	}
	return nil
}

func (c *tampered) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	f := c.wire.take(int16(binary.BigEndian.Uint16(p[4:])))
	switch {
	case f != nil && f.hold:
		c.wire.stop()
		close(f.spent)
	case f != nil && !f.sent:
		_ = c.Close()
		close(f.spent)
		return 0, io.ErrClosedPipe
	case f != nil:
		c.mu.Lock()
		c.lost[binary.BigEndian.Uint32(p[correlationAt:])] = f
		c.mu.Unlock()
	}
	return c.Conn.Write(p)
}

func (c *tampered) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.frame(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// frame reads the next answer, unless it is to be lost.
func (c *tampered) frame() error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.Conn, head); err != nil {
		return err
	}
	frame := append(head, make([]byte, binary.BigEndian.Uint32(head))...)
	if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
		return err
	}
	if err := c.pass(); err != nil {
		return err
	}
	c.mu.Lock()
	f := c.lost[binary.BigEndian.Uint32(frame[responseCorrelation:])]
	c.mu.Unlock()
	if f != nil {
		_ = c.Close()
		close(f.spent)
		return io.ErrUnexpectedEOF
	}
	c.rest = frame
	return nil
}

// happened checks that a fate was met.
func happened(t *testing.T, what <-chan struct{}) {
	t.Helper()
	select {
	case <-what:
	default:
		t.Error("the fault has not happened")
	}
}
