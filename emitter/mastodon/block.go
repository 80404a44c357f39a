package mastodon

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
)

// kind is what a message is.
type kind uint8

const (
	kindStatus kind = iota // a post, in the version that it has now
	kindUpdate             // a later version of one
	kindDelete             // the id of one that is gone
)

// kinds are the events that concern us, by their names in the stream.
var kinds = map[string]kind{"update": kindStatus, "status.update": kindUpdate, "delete": kindDelete}

// meta is what we know of a message besides its bytes.
type meta struct {
	kind   kind
	id     string // the server's own id of the status; empty: unknown
	edited string // when it was edited, as the server writes it
	long   int64  // bytes of a message that is too long; else 0
}

// A message is one event of the stream, or one status of a page.
type message struct {
	data []byte
	meta
}

// parseMeta reads what we need to know before a message is decoded.
func parseMeta(k kind, data []byte) meta {
	m := meta{kind: k}
	if k == kindDelete {
		m.id = string(bytes.TrimSpace(data[:min(len(data), 2*maxID)]))
	} else {
		for key, value := range live.Members(data) {
			switch string(key) {
			case "id":
				m.id = live.Text(value)
			case "edited_at":
				m.edited = live.Text(value)
			}
		}
	}
	if !sound(m.id) {
		m.id = ""
	}
	return m
}

const (
	// maxLetter is the longest dead letter: what the log takes in one record.
	maxLetter = 512 << 10
	// cutLetter is what is kept of a longer one.
	cutLetter = 64 << 10
)

// A block is a run of messages on its way to the sink.
type block struct {
	host     string // of the server
	name     string // of the cursor
	before   string // cursor before the first message
	messages []message
	cursors  []string // behind each message
	scratch  []byte   // the alias that was decoded last
}

func (b *block) Len() int { return len(b.messages) }

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	m := &b.messages[i]
	if m.long > 0 {
		return post.Result{}, fmt.Errorf("it has %d bytes", m.long)
	}
	if m.kind == kindDelete {
		if m.id == "" {
			return post.Result{}, errors.New("what is to be deleted has no id")
		}
		*p = post.Post{Source: post.SourceMastodon, Op: post.Delete, Alias: b.alias(m.id)}
		return post.Result{Kind: post.KindDelete, Notice: "delete"}, nil
	}
	result, err := d.Decode(m.data, p)
	switch {
	case err != nil:
		return result, err
	case result.Kind == post.KindNotice:
		return result, nil
	case result.Kind != post.KindPost || p.Source != post.SourceMastodon: // nobody speaks for another network
		return post.Result{}, errors.New("it is no status of Mastodon's")
	}
	if len(p.Alias) > 0 {
		p.Alias = b.alias(string(p.Alias))
	}
	if m.kind == kindUpdate {
		p.Op = post.Update
	}
	return result, nil
}

// alias is an id that is the server's own, made one that is the network's.
func (b *block) alias(id string) []byte {
	b.scratch = append(append(append(b.scratch[:0], b.host...), '/'), id...)
	return b.scratch
}

// Letter implements [emitter.Block].
func (b *block) Letter(i int) emitter.Letter {
	m := &b.messages[i]
	l := emitter.Letter{Data: m.data, From: b.host, Cut: m.long}
	if len(l.Data) > maxLetter {
		l.Data, l.Cut = l.Data[:cutLetter], int64(len(l.Data))
	}
	return l
}

// Cursor implements [emitter.Block].
func (b *block) Cursor(n int) (string, []byte) {
	cursor := b.before
	if n > 0 {
		cursor = b.cursors[n-1]
	}
	if cursor == "" {
		return "", nil
	}
	return b.name, []byte(cursor)
}
