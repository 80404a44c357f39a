package jetstreamtest

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
)

// A Conn is a connection to one listener. It belongs to the goroutine that
// serves it, which calls [Options.Before].
type Conn struct {
	// N numbers the requests for streams, from 1.
	N       int
	Version int
	Query   url.Values
	// Ctx ends when the listener or the server does.
	Ctx context.Context

	ws     *websocket.Conn
	raw    net.Conn
	packer *zstd.Encoder // nil: frames are plain
}

// accept makes a request for a stream a connection.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, n, version int, o *websocket.AcceptOptions) (*Conn, error) {
	ws, err := websocket.Accept(w, r, o)
	if err != nil {
		return nil, err
	}
	return &Conn{
		N: n, Version: version, Query: r.URL.Query(), Ctx: r.Context(),
		ws: ws, raw: r.Context().Value(connKey{}).(net.Conn),
	}, nil
}

// stream sends the events from a number on that are wanted, until something
// fails.
func (s *Server) stream(c *Conn, from int64, wanted func(*Event) bool) {
	defer func() { _ = c.ws.CloseNow() }()
	if !s.o.Deaf {
		c.Ctx = c.ws.CloseRead(c.Ctx)
	}
	if s.o.Ping > 0 {
		s.open.Add(1)
		go c.ping(s.o.Ping, s.open.Done)
	}
	for i := 0; ; i++ {
		if s.o.Before != nil && !s.o.Before(c, i) {
			return
		}
		sent := false
		for ; !sent; from++ {
			e, grown := s.next(from)
			for e == nil {
				select {
				case <-grown:
				case <-c.Ctx.Done():
					return
				}
				e, grown = s.next(from)
			}
			if wanted(e) {
				if !c.Send(e.frame(c.Version, from)) {
					return
				}
				sent = true
			}
		}
	}
}

func (c *Conn) ping(every time.Duration, done func()) {
	defer done()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if c.ws.Ping(c.Ctx) != nil {
				return
			}
		case <-c.Ctx.Done():
			return
		}
	}
}

// Send sends a frame, packed if that was agreed, and tells whether it could.
func (c *Conn) Send(frame []byte) bool {
	if c.packer == nil {
		return c.ws.Write(c.Ctx, websocket.MessageText, frame) == nil
	}
	return c.SendBinary(c.packer.EncodeAll(frame, nil))
}

// SendBinary sends a binary frame as it is.
func (c *Conn) SendBinary(frame []byte) bool {
	return c.ws.Write(c.Ctx, websocket.MessageBinary, frame) == nil
}

// Fail sends an error of the second version, which ends the stream.
func (c *Conn) Fail(name, message string) bool {
	c.Send(encode(map[string]string{"$type": "error", "error": name, "message": message}))
	_ = c.ws.Close(websocket.StatusPolicyViolation, name)
	return false
}

// Cut sends the first half of a frame, and breaks off.
func (c *Conn) Cut(frame []byte) bool {
	c.rawFrame(uint64(len(frame)), frame[:len(frame)/2])
	_ = c.raw.Close()
	return false
}

// Flood sends a frame that begins with head and has size bytes, as far as it
// is taken, and returns how far that is.
func (c *Conn) Flood(head []byte, size int) (taken int) {
	if !c.rawFrame(uint64(size), head) {
		return 0
	}
	filler := make([]byte, 64<<10)
	for i := range filler {
		filler[i] = 'x'
	}
	for taken = len(head); taken < size; {
		n, err := c.raw.Write(filler[:min(len(filler), size-taken)])
		taken += n
		if err != nil {
			break
		}
	}
	return taken
}

// rawFrame sends the header of a text frame of so many bytes, and its first
// ones.
func (c *Conn) rawFrame(size uint64, data []byte) bool {
	header := binary.BigEndian.AppendUint64([]byte{0x81, 127}, size)
	_, err := c.raw.Write(append(header, data...))
	return err == nil
}

// Hang does nothing until the listener or the server breaks off.
func (c *Conn) Hang() bool {
	<-c.Ctx.Done()
	return false
}

// Close closes the connection as the protocol has it.
func (c *Conn) Close(reason string) bool {
	_ = c.ws.Close(websocket.StatusPolicyViolation, reason)
	return false
}
