package mastodon

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// heardEvent is an event that a test keeps.
type heardEvent struct {
	name, data string
	long       int64
}

func readEvents(r io.Reader, most int) (events []heardEvent, err error) {
	e := newEventReader(r, most, func() {})
	for {
		event, err := e.next()
		if err != nil {
			return events, err
		}
		events = append(events, heardEvent{event.name, string(event.data), event.long})
	}
}

// slowEvents is the standard, word by word, over a text that is all there. Of
// data that is too long only the length is compared.
func slowEvents(text string, most int) (events []heardEvent) {
	text = strings.TrimPrefix(text, "\ufeff")
	lines := strings.Split(text, "\n")
	name, data, some := "", "", false
	for _, line := range lines[:len(lines)-1] { // the last one has no end
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			if some {
				e := heardEvent{name: name, data: strings.TrimSuffix(data, "\n")}
				if len(e.data) > most {
					e.data, e.long = "", int64(len(e.data))
				}
				events = append(events, e)
			}
			name, data, some = "", "", false
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if key == "event" {
			name = value
		}
		if key == "data" {
			data, some = data+value+"\n", true
		}
	}
	return events
}

func FuzzEventsAreThoseOfTheStandard(f *testing.F) {
	for _, text := range []string{
		":)\n:thump\nevent: update\ndata: {}\n\n", "\ufeffdata:x\r\ndata: y\r\n\r\n", "event: a\n\ndata\n\n",
		"event:a\nevent: b\ndata:  c\nid: 5\n: \n\n", "data: x\n", "data: x\n\n\n\ndata: y\n\n", "data: 0123456789012345678901234567890\n\n",
		"data: 0123456789012345678901234567890\ndata: y\n\ndata: z\n\n", ":" + strings.Repeat("x", 100) + "\n\ndata: z\n\n",
		"event: " + strings.Repeat("x", 100) + "\ndata: z\n\n", "data: x\rdata: y\n\n", "\ufeff\ufeffdata: x\n\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const most = 20
		want := slowEvents(text, most)
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			got, err := readEvents(r, most)
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%q: %+v, want %+v", text, got, want)
			}
			for i, g := range got {
				if len(g.data) > cutLetter {
					t.Errorf("%q: %d bytes are held", text, len(g.data))
				}
				w := want[i]
				if g.long > 0 {
					g.data = ""
				}
				if len(w.name) > most-len("event:") {
					g.name, w.name = "", "" // no name that we know
				}
				if g != w {
					t.Errorf("%q: %+v, want %+v", text, g, w)
				}
			}
		}
	})
}

// What is too long is not held, however it is cut into lines, and what follows
// is read.
func TestALongEventIsCountedAndNotHeld(t *testing.T) {
	const size = 100 << 20
	for name, unit := range map[string]string{"one line": strings.Repeat("x", 1<<10), "many lines": strings.Repeat("x", 1<<10-7) + "\ndata: "} {
		t.Run(name, func(t *testing.T) {
			text := io.MultiReader(strings.NewReader("event: update\ndata: "), io.LimitReader(&endless{unit: unit}, size),
				strings.NewReader("\n\nevent: delete\ndata: 1\n\n"))
			e := newEventReader(text, 1<<20, func() {})
			long, err := e.next()
			if err != nil || len(long.data) != cutLetter || long.long < size/2 || long.long > size {
				t.Errorf("%d of %d bytes, %v", len(long.data), long.long, err)
			}
			if n := cap(e.buf); n > 8<<20 {
				t.Errorf("%d bytes are held", n)
			}
			if e, err := e.next(); err != nil || e.name != "delete" || string(e.data) != "1" {
				t.Errorf("then %+v, %v", e, err)
			}
		})
	}
}

// endless repeats a text.
type endless struct {
	unit string
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], e.unit[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.unit)
	}
	return n, nil
}
