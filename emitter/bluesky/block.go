package bluesky

import (
	"fmt"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
)

// A mark is what the source knows of an event.
type mark struct {
	at   place // behind it and all before it
	long bool  // it was refused: there is only its beginning
}

// A block is what has come on its way to the sink.
type block struct {
	batch    *live.Batch[mark]
	from     place // before the batch
	server   string
	maxFrame int
	value    []byte // scratch of Cursor
}

func (b *block) Len() int { return b.batch.Len() }

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	data, mark := b.batch.At(i)
	if mark.long {
		return post.Result{}, fmt.Errorf("the frame has more than %d bytes", b.maxFrame)
	}
	return d.Decode(data, p)
}

// Letter implements [emitter.Block]. How long a refused frame is, nobody knows:
// Cut is the least that it can be.
func (b *block) Letter(i int) emitter.Letter {
	data, mark := b.batch.At(i)
	letter := emitter.Letter{Data: data, From: b.server}
	if mark.long {
		letter.Cut = int64(b.maxFrame) + 1
	} else if len(data) > maxLetter {
		letter.Data, letter.Cut = data[:headSize], int64(len(data))
	}
	return letter
}

// Cursor implements [emitter.Block].
func (b *block) Cursor(n int) (string, []byte) {
	b.value = b.at(n).append(b.value[:0])
	return cursorName, b.value
}

// at is the place behind n messages.
func (b *block) at(n int) place {
	if n == 0 {
		return b.from
	}
	_, mark := b.batch.At(n - 1)
	return mark.at
}

const (
	// maxWaiting is how many bytes may wait for the sink.
	maxWaiting = 1 << 20
	// maxLetter is the longest frame that becomes a dead letter whole: what the
	// log takes in one record.
	maxLetter = 512 << 10
	// headSize is how much of a longer one is kept.
	headSize = 64 << 10
)
