package kafkalog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A conn is an authenticated connection to one broker. Whoever opened it owns
// it, and closes it.
type conn struct {
	*sarama.Broker
	socket *frames
}

// dial opens a connection to a broker at an address, and proves who we are.
// Its errors are log.ErrUnavailable where trying again may help.
func (c *cluster) dial(ctx context.Context, addr string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	d := &dialer{ctx: ctx, o: &c.o}
	conf := *c.conf
	conf.Net.Proxy.Dialer = d
	b := sarama.NewBroker(addr)
	if err := b.Open(&conf); err != nil {
		return nil, fmt.Errorf("broker %s: %w", addr, err)
	}
	// Connected waits for the end of Open, which ends when the socket does.
	_, err := b.Connected()
	if ctx.Err() != nil {
		err = ctx.Err() // what it made of the socket does not matter
	}
	if err == nil {
		err = d.refused()
	}
	if err != nil {
		d.kill()
		_ = b.Close()
		return nil, c.refusal(addr, errors.Join(d.refused(), err))
	}
	if !d.release() {
		_ = b.Close()
		return nil, c.refusal(addr, ctx.Err())
	}
	return &conn{Broker: b, socket: d.socket}, nil
}

// kill ends what waits on the connection, with an error. The owner still closes it.
func (c *conn) kill() { _ = c.socket.Close() }

// Close releases the connection, also under whoever waits on it.
func (c *conn) Close() error {
	c.kill()
	_ = c.Broker.Close() // the socket is closed; nothing else can fail
	return nil
}

// during kills the connection if ctx ends before stop is called.
func (c *conn) during(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, c.kill)
}

// A dialer opens the socket of one connection for sarama, with TLS, which
// sarama would shake hands for too late to tell what went wrong.
type dialer struct {
	ctx    context.Context
	o      *Options
	socket *frames
	stop   func() bool
}

// Dial implements the dialer that sarama wants.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	raw, err := d.o.Dial(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if d.o.TLS != nil {
		t := tls.Client(raw, serverName(d.o.TLS, addr))
		if err := t.HandshakeContext(d.ctx); err != nil {
			_ = raw.Close()
			return nil, &tlsError{err}
		}
		raw = t
	}
	d.socket = &frames{Conn: raw}
	d.stop = context.AfterFunc(d.ctx, d.kill)
	return d.socket, nil
}

// kill ends the connection while it is being opened.
func (d *dialer) kill() {
	if d.socket != nil {
		_ = d.socket.Close()
	}
}

// release lets the connection outlive the dialer's context, unless it has ended.
func (d *dialer) release() bool { return d.stop() }

// refused says whether what was read was no Kafka.
func (d *dialer) refused() error {
	if d.socket == nil {
		return nil
	}
	return d.socket.foreign
}

// serverName is the configuration with the name that the server must prove.
func serverName(c *tls.Config, addr string) *tls.Config {
	if c.ServerName != "" {
		return c
	}
	c = c.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		c.ServerName = host
	}
	return c
}

// frames looks at the first answer, lest a server that is no Kafka makes
// sarama take its words for a length.
type frames struct {
	net.Conn
	seen    int
	head    [4]byte
	foreign error
	wrote   func() // if set, called after each write, by who writes
}

// maxFirst is more than the first answer of any Kafka (the versions of its
// API, some hundred bytes), and less than any text is as a number.
const maxFirst = 1 << 20

// Read implements [net.Conn].
func (f *frames) Read(p []byte) (int, error) {
	if f.foreign != nil {
		return 0, f.foreign
	}
	n, err := f.Conn.Read(p)
	if f.seen < len(f.head) {
		f.seen += copy(f.head[f.seen:], p[:n])
		if f.seen == len(f.head) {
			f.foreign = foreign(f.head)
		}
		if f.foreign != nil {
			return 0, f.foreign
		}
	}
	return n, err
}

// Write implements [net.Conn].
func (f *frames) Write(p []byte) (int, error) {
	n, err := f.Conn.Write(p)
	if f.wrote != nil {
		f.wrote()
	}
	return n, err
}

// foreign says what server begins its first answer with these bytes, if it is no Kafka.
func foreign(head [4]byte) error {
	size := uint32(head[0])<<24 | uint32(head[1])<<16 | uint32(head[2])<<8 | uint32(head[3])
	switch {
	case size < maxFirst:
		return nil
	case head[0] == 0x15 && head[1] == 0x03:
		return &foreignError{"it speaks TLS, we do not: turn TLS on, or use another port"}
	case string(head[:]) == "HTTP":
		return &foreignError{"it is no Kafka, it answers in HTTP: check host and port"}
	}
	return &foreignError{fmt.Sprintf("it is no Kafka, its first answer begins with %q: check host and port", head)}
}

// A foreignError: what answered is not what we came for.
type foreignError struct{ what string }

// Error implements error.
func (e *foreignError) Error() string { return e.what }

// A tlsError: the handshake failed.
type tlsError struct{ err error }

// Error implements error.
func (e *tlsError) Error() string { return "tls handshake: " + e.err.Error() }

// Unwrap returns what went wrong.
func (e *tlsError) Unwrap() error { return e.err }

// refusal says why there is no connection to a broker, and whether it is
// worth another try.
func (c *cluster) refusal(addr string, err error) error {
	var (
		alien  *foreignError
		secure *tlsError
		record tls.RecordHeaderError
	)
	kafka, told := codeIn(err)
	who := fmt.Sprintf("broker %s", addr)
	switch {
	case errors.As(err, &alien):
		return fmt.Errorf("%s: %w", who, alien)
	case errors.As(err, &record):
		return fmt.Errorf("%s: it does not speak TLS, we do: leave TLS out, or use another port: %w", who, err)
	case errors.As(err, &secure) && !isLost(secure.err):
		return fmt.Errorf("%s: %w", who, secure)
	case told && !retriable(classify(kafka)):
		return fmt.Errorf("%s: user %q with %s: %w: %w", who, c.o.SASL.User, c.o.SASL.Mechanism, classify(kafka), err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", who, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %s: no answer (%s): %w", log.ErrUnavailable, who, c.suspicion(), err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: %s: it closed the connection (%s): %w", log.ErrUnavailable, who, c.suspicion(), err)
	}
	return fmt.Errorf("%w: %s: %w", log.ErrUnavailable, who, err)
}

// codeIn is what a broker answered, if it did. Where it has explained a refused
// user, sarama wraps its code so that only [errors.Is] finds it.
func codeIn(err error) (code sarama.KError, ok bool) {
	if errors.As(err, &code) {
		return code, true
	}
	return sarama.ErrSASLAuthenticationFailed, errors.Is(err, sarama.ErrSASLAuthenticationFailed)
}

// suspicion is what may be wrong with whoever always closes the connection, or
// never answers.
func (c *cluster) suspicion() string {
	secure, user := "TLS, and we do not: turn TLS on", "a user, and we gave none: turn SASL on"
	if c.o.TLS != nil {
		secure = "no TLS, and we do"
	}
	if c.o.SASL.Mechanism != "" {
		user = fmt.Sprintf("no user, or another one or another password than that of user %q with %s", c.o.SASL.User, c.o.SASL.Mechanism)
	}
	return fmt.Sprintf("if it always does so, it may be no Kafka, or it speaks %s, or it wants %s", secure, user)
}

// lostErr tells whether an error is the network's.
func lostErr(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, net.ErrClosed)
}

// jitter is a random part of d.
func jitter(d time.Duration) time.Duration { return rand.N(d + 1) }
