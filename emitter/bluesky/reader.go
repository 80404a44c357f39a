package bluesky

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"

	"github.com/tagtide/tagtide/emitter/live"
)

// A reader reads one connection into an inbox. Its goroutine owns it from run
// until the inbox is closed.
type reader struct {
	server   *server
	watch    *live.Watch
	inbox    *live.Inbox[mark]
	place    place // behind what was read
	maxFrame int
	keeper   *live.Keeper
	now      func() time.Time
	logger   *slog.Logger

	conn     *websocket.Conn
	unpack   *zstd.Decoder // nil: frames are plain
	outdated bool          // the server does not have the place any more
	begun    bool          // an event came
	packed   []byte        // scratch: the frame as it came
	plain    []byte        // and unpacked
}

// use makes conn the reader's.
func (r *reader) use(conn *websocket.Conn, packing *dictionary) error {
	if packing != nil {
		d, err := packing.decoder(r.maxFrame)
		if err != nil {
			_ = conn.CloseNow()
			r.server.plain = true
			return fmt.Errorf("the server's dictionary: %w", err)
		}
		r.unpack = d
	}
	r.conn = conn
	conn.SetReadLimit(int64(r.maxFrame))
	return nil
}

// run reads until something fails, and tells the inbox what. The caller calls
// stop, which calls end, to end ctx, and waits.
func (r *reader) run(ctx context.Context, end func(), pings time.Duration) (stop func()) {
	var running sync.WaitGroup
	running.Go(func() { r.inbox.Close(r.read(ctx)) })
	running.Go(func() { r.ping(ctx, pings) })
	return func() {
		end()
		_ = r.conn.CloseNow()
		running.Wait()
		if r.unpack != nil {
			r.unpack.Close()
		}
	}
}

// heard tells that the server lives. Called by the goroutine that reads, while
// it does.
func (r *reader) heard() {
	r.watch.Listen()
	r.keeper.Heard()
}

// ping makes a server say something that has nothing to say. Whether it did is
// the watch's to judge: while the sink holds us back, nobody reads the answer.
func (r *reader) ping(ctx context.Context, every time.Duration) {
	for live.Sleep(ctx, every) == nil {
		within, cancel := context.WithTimeout(ctx, every)
		_ = r.conn.Ping(within)
		cancel()
	}
}

// read never returns nil.
func (r *reader) read(ctx context.Context) error {
	for {
		data, err := r.frame(ctx)
		if errors.Is(err, websocket.ErrMessageTooBig) {
			return r.refuse(ctx, data)
		}
		if err != nil {
			return r.watch.Why(err)
		}
		r.keeper.Heard()
		if err := r.take(ctx, data); err != nil {
			return err
		}
	}
}

// frame reads a frame, or with [websocket.ErrMessageTooBig] its beginning.
func (r *reader) frame(ctx context.Context) ([]byte, error) {
	r.watch.Listen()
	kind, body, err := r.conn.Reader(ctx)
	r.watch.Rest()
	if err != nil {
		return nil, lost(err)
	}
	r.packed, err = readAll(release(r.packed), r.watch.Reader(body))
	if err != nil || kind == websocket.MessageText {
		return r.packed, err
	}
	if r.unpack == nil {
		return nil, errors.New("a binary frame: none was asked for")
	}
	r.plain, err = r.unpack.DecodeAll(r.packed, release(r.plain))
	if err != nil {
		r.server.plain = true
		return nil, fmt.Errorf("unpack a frame (from now on they will be plain): %w", err)
	}
	return r.plain, nil
}

// lost says in our words that a server broke off.
func lost(err error) error {
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return fmt.Errorf("the server closed the connection: %v %s", closed.Code, printable(closed.Reason))
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server broke off: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// readAll reads all of body behind dst. It reads in pieces, so that a slow
// frame is not taken for silence.
func readAll(dst []byte, body io.Reader) ([]byte, error) {
	const piece = 64 << 10
	for {
		if cap(dst) == len(dst) {
			dst = slices.Grow(dst, 4<<10)
		}
		n, err := body.Read(dst[len(dst):min(cap(dst), len(dst)+piece)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// release returns buf to be written from its start, unless it is unusually
// large.
func release(buf []byte) []byte {
	if cap(buf) > 256<<10 {
		return nil
	}
	return buf[:0]
}

// take does what a frame says.
func (r *reader) take(ctx context.Context, data []byte) error {
	f := parseFrame(data)
	switch f.kind {
	case frameError:
		return fmt.Errorf("the server ends the stream: %s: %s", f.name, f.message)
	case frameInfo:
		r.logger.Info("the server remarks", "server", r.server.name, "name", f.name, "message", f.message)
		r.outdated = r.outdated || f.name == "OutdatedCursor"
		return nil
	}
	if f.time > 0 {
		r.tellGap(f.time)
		r.place = r.place.behind(f.time, r.server.name, r.now())
	}
	return r.inbox.Add(ctx, data, mark{at: r.place})
}

// tellGap tells how much is lost, if the first event is not one that was to be
// expected at the place where we left off. The first version of the protocol
// begins later without a word.
func (r *reader) tellGap(event int64) {
	const usual = time.Minute // without a post
	if r.begun {
		return
	}
	r.begun = true
	gap := time.UnixMicro(event).Sub(r.place.date())
	if gap > 0 && r.outdated || gap > usual && r.place.server != "" {
		r.logger.Warn("posts are lost: the server does not go back so far", "server", r.server.name,
			"lost", gap.Round(time.Second), "from", r.place.date(), "to", time.UnixMicro(event).UTC())
	}
}

// refuse makes a dead letter of the beginning of a frame that is too long, and
// has the next connection begin behind it. If the frame does not say where that
// is, another server may.
func (r *reader) refuse(ctx context.Context, head []byte) error {
	err := fmt.Errorf("a frame of more than %d bytes: it was refused", r.maxFrame)
	event := timeInHead(head)
	if event == 0 {
		return err
	}
	r.place = r.place.behind(event, r.server.name, r.now())
	r.server.overtake = min(event, r.now().UnixMicro()) + 1
	return errors.Join(err, r.inbox.Add(ctx, head[:min(len(head), headSize)], mark{at: r.place, long: true}))
}
