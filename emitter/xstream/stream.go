package xstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
)

const (
	// inboxBytes may wait for the sink before X is not read on.
	inboxBytes = 1 << 20
	// maxLetter is the longest message of which a dead letter shows the whole
	// shape.
	maxLetter = 64 << 10
)

// about is what is known of a message besides its bytes.
type about struct {
	notice bool  // it is no post: X says that something is wrong
	long   int64 // its length if it is too long to be decoded, of which there is the beginning; else 0
}

// stream connects and sends on what comes, until the connection ends.
func (s *Source) stream(ctx context.Context, sink emitter.Sink) error {
	watched, watch := live.NewWatch(ctx, s.o.Silence)
	defer watch.End()
	watch.Listen() // for the answer
	resp, err := s.client.open(watched, s.query())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	began := s.o.Now()
	s.keeper.Connected()
	s.tellGap(began)

	inbox := live.NewInbox[about](inboxBytes)
	var reading sync.WaitGroup
	reading.Go(func() { inbox.Close(s.receive(watched, watch.Reader(resp.Body), inbox)) })
	err = s.send(ctx, sink, inbox)
	watch.End()
	reading.Wait()

	s.heard = s.keeper.State().Heard
	if s.heard.Sub(began) >= holds {
		s.back.held()
	}
	return err
}

// receive reads the stream into the inbox, and returns why it ended.
func (s *Source) receive(ctx context.Context, body io.Reader, inbox *live.Inbox[about]) error {
	lines := live.NewLines(body, s.o.MaxLine)
	for {
		line, err := lines.Next()
		long := (*live.LongError)(nil)
		if err != nil && !errors.As(err, &long) {
			return s.ended(err)
		}
		s.keeper.Heard()
		ended, err := s.message(ctx, inbox, line, long)
		if err != nil {
			return err
		}
		if ended != nil {
			return ended
		}
	}
}

// message puts one line into the inbox, unless it is a sign of life. It returns
// a failure if the line says that the stream has ended.
func (s *Source) message(ctx context.Context, inbox *live.Inbox[about], line []byte, long *live.LongError) (*failure, error) {
	if long != nil {
		s.o.Logger.Warn("X sent a message that is too long to be one; it will be a dead letter", "bytes", long.Bytes)
		return nil, inbox.Add(ctx, long.Head[:min(len(long.Head), maxLetter)], about{long: long.Bytes})
	}
	if line = content(line); len(line) == 0 {
		return nil, nil
	}
	p, notice := problemIn(line)
	if err := inbox.Add(ctx, line, about{notice: notice}); err != nil || !notice {
		return nil, err
	}
	ended := inStream(p)
	if ended == nil {
		s.o.Logger.Warn("X says that something is wrong with the stream", "problem", p.String())
	}
	return ended, nil
}

// content is what a line says, nothing if it is a sign of life. X's own emulator
// (https://github.com/xdevplatform/playground) frames messages as server-sent
// events, which X does not; no message begins like that.
func content(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if bytes.HasPrefix(line, []byte(":")) {
		return nil
	}
	return bytes.TrimSpace(bytes.TrimPrefix(line, []byte("data:")))
}

// ended makes a failure of how a connection ended.
func (s *Source) ended(err error) *failure {
	switch err {
	case io.EOF:
		err = errors.New("the connection was ended by X")
	case io.ErrUnexpectedEOF:
		err = errors.New("the connection was cut within a message")
	}
	return &failure{remedy: again, err: fmt.Errorf("GET %s%s: %w", s.client.server, streamPath, err)}
}

// send sends on what is in the inbox until that is closed, and returns why. It
// outlives the connection.
func (s *Source) send(ctx context.Context, sink emitter.Sink, inbox *live.Inbox[about]) error {
	b := &block{from: s.client.server + streamPath}
	for {
		batch, err := inbox.Take(ctx)
		if err != nil {
			return err
		}
		b.Batch = batch
		if err := sink.Send(ctx, b); err != nil {
			return err
		}
		s.posts.Add(int64(batch.Len()))
	}
}

// A block is what came at once.
type block struct {
	*live.Batch[about]
	from  string
	shape []byte // of the last letter
}

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	message, known := b.At(i)
	switch {
	case known.notice:
		return post.Result{Kind: post.KindNotice, Notice: "errors"}, nil
	case known.long > 0:
		return post.Result{}, fmt.Errorf("the message has %d bytes, more than are decoded", known.long)
	}
	return d.Decode(message, p)
}

// Letter implements [emitter.Block]. It shows the shape of the message.
func (b *block) Letter(i int) emitter.Letter {
	message, known := b.At(i)
	l := emitter.Letter{From: b.from}
	if size := max(known.long, int64(len(message))); size > maxLetter {
		message, l.Cut = message[:min(len(message), maxLetter)], size
	}
	b.shape = appendShape(b.shape[:0], message)
	l.Data = b.shape
	return l
}

// Cursor implements [emitter.Block]. There is no coming back.
func (b *block) Cursor(int) (string, []byte) { return "", nil }
