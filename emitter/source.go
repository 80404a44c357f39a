package emitter

import (
	"context"
	"time"

	"github.com/tagtide/tagtide/post"
)

// A Source reads posts from one place in an order that it can come back to.
type Source interface {
	// Name of the kind of source, "file" say: a label of metrics and logs.
	Name() string
	// Run reads on from where the sink's cursors say and hands everything to
	// the sink, in order. It returns nil at the end of the source, and the
	// reason if it cannot be read to its end; what can be read was handed over
	// by then. It returns soon after ctx has ended.
	Run(ctx context.Context, sink Sink) error
	// Progress tells how far Run is. Safe for concurrent use.
	Progress() Progress
}

// Progress of a source.
type Progress struct {
	Done  int64  // so far, what was done before a restart included
	Total int64  // at the end; 0: unknown, or there is none
	Unit  string // of both: "bytes" or "posts"
}

// A Sink takes what a source reads.
type Sink interface {
	// Cursors returns the committed cursors whose names begin with prefix, and
	// waits until no earlier emitter can move them any more.
	Cursors(ctx context.Context, prefix string) (map[string][]byte, error)
	// Send takes a block whole, and returns when the block may be overwritten.
	// Records and cursor will be committed together, if need be in pieces,
	// each with the cursor behind it. It blocks while too much waits.
	Send(ctx context.Context, b Block) error
}

// A Block is a run of messages as a source read them, and a place behind each
// to which the source can come back. It belongs to one goroutine.
type Block interface {
	// Len is the number of messages.
	Len() int
	// Decode decodes message i into p, as [post.Decoder.Decode] does, whose
	// decoder it may use. On an error the message is a dead letter.
	Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error)
	// Letter is message i as it was read. Called only after Decode failed.
	Letter(i int) Letter
	// Cursor is the place behind the first n messages, and the name it goes
	// by. An empty name: there is no coming back. The value is valid until the
	// next call.
	Cursor(n int) (name string, value []byte)
}

// A Letter is a message that could not be decoded. It goes to the topic as it
// is, with headers that say where it comes from and what is wrong with it, and
// from there to the dead letters of whoever counts: in his transaction, so that
// it is counted exactly once too.
type Letter struct {
	Data []byte
	From string // file or address
	Line int64  // from 1; 0: there are no lines
	// Cut: Data is only the beginning, the message has so many bytes; 0: it is whole.
	Cut int64
}

// The headers of letters.
const (
	HeaderSource = "tagtide-source" // Letter.From
	HeaderLine   = "tagtide-line"   // Letter.Line in decimal
	HeaderError  = "tagtide-error"  // what is wrong
	HeaderCut    = "tagtide-cut"    // Letter.Cut in decimal, if it is cut
)

// A Live source reads from a network as long as it is let, and tells how that
// goes. Its Run returns an error only for what a person has to mend.
type Live interface {
	Source
	// State tells what the source is doing. Safe for concurrent use.
	State() State
}

// A Phase is what a source is doing.
type Phase string

// The phases of a live source.
const (
	Connecting Phase = "connecting"
	Connected  Phase = "connected"
	Waiting    Phase = "waiting" // to connect again, since the last time failed
	Stopped    Phase = "stopped" // it will not go on by itself
)

// The phases that an emitter adds: of sources that are not live, and of all
// that have come to their end.
const (
	Reading Phase = "reading"
	Ended   Phase = "ended"
)

// State is what a live source tells of itself, and an emitter of any source.
type State struct {
	Phase      Phase
	Peer       string    // host or address that it is connected to, or tries to be
	Since      time.Time // when the phase began
	Heard      time.Time // when anything came last, also if it was only a sign of life; zero: never
	Reconnects int64     // connections that were lost or could not be made
	Problem    string    // why the last one was; empty: none was. Never holds a secret
}
