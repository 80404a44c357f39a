package bluesky

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// frameKind is what a frame is.
type frameKind uint8

const (
	frameEvent frameKind = iota // also what nobody understands: the decoder of posts will say what is wrong
	frameInfo                   // the server remarks something
	frameError                  // the server will say no more
)

// A frame is what the source must know of a frame.
type frame struct {
	kind    frameKind
	time    int64  // of an event in Unix microseconds; 0: it tells none
	name    string // of a remark or an error
	message string // for people
}

// envelope is around what the servers of both versions say:
//
//	{"did":…,"time_us":…,"kind":"commit",…}                              first
//	{"$type":"message","payload":{"$type":"…#commit","time":…,…}}        second
//	{"$type":"message","payload":{"$type":"…#info","name":…,"message":…}}
//	{"$type":"error","error":…,"message":…}
type envelope struct {
	kind, name, message string // name is that of an error or a remark
	time                string
	micros              int64
}

// parseFrame reads what it can: values of unexpected types are as if absent.
func parseFrame(data []byte) frame {
	var e, payload envelope
	for key, value := range live.Members(data) {
		switch string(key) {
		case "error":
			e.name = live.Text(value)
		case "time_us":
			e.micros = parseMicros(value)
		case "payload":
			payload = parsePayload(value)
		default:
			e.read(key, value)
		}
	}
	switch {
	case e.kind == "error":
		return frame{kind: frameError, name: printable(e.name), message: printable(e.message)}
	case e.kind == "message" && strings.HasSuffix(payload.kind, "#info"):
		return frame{kind: frameInfo, name: printable(payload.name), message: printable(payload.message)}
	case e.kind == "message":
		return frame{time: parseTime(payload.time)}
	}
	return frame{time: e.micros}
}

func parsePayload(data []byte) (e envelope) {
	for key, value := range live.Members(data) {
		switch string(key) {
		case "name":
			e.name = live.Text(value)
		case "time":
			e.time = live.Text(value)
		default:
			e.read(key, value)
		}
	}
	return e
}

// read reads what may be inside and outside.
func (e *envelope) read(key, value []byte) {
	switch string(key) {
	case "$type":
		e.kind = live.Text(value)
	case "message":
		e.message = live.Text(value)
	}
}

// parseMicros is a number of microseconds, 0 for what is none since 1970.
func parseMicros(value []byte) int64 {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// parseTime returns Unix microseconds, 0 for what is no time since then.
func parseTime(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	return max(t.UnixMicro(), 0)
}

// headTime matches an event's time where it stands before anything that people
// write.
var headTime = regexp.MustCompile(`^\s*\{(?:"\$type":"message","payload":\{)?(?:"(?:\$type|did|seq)":(?:"[^"\\]*"|\d+),)*"time(?:_us":(\d+)[,}]|":"([^"\\]*)")`)

// timeInHead returns the time of an event of which only the beginning is known;
// 0: it is not there.
func timeInHead(head []byte) int64 {
	m := headTime.FindSubmatch(head[:min(len(head), 1<<10)])
	if m == nil {
		return 0
	}
	if len(m[1]) == 0 {
		return parseTime(string(m[2]))
	}
	return parseMicros(m[1])
}

// A refusal is what a server answers instead of a stream. What is not there is
// empty.
type refusal struct {
	Name    string `json:"error"`
	Message string `json:"message"`
	Floor   int64  `json:"floor"` // of CursorTooOld: the oldest place there is
}

var number = regexp.MustCompile(`\d+`)

// parseRefusal reads an answer: JSON, or in the first version text.
func parseRefusal(body []byte) refusal {
	var r refusal
	if err := json.Unmarshal(body, &r); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return refusal{Message: printable(string(body))}
	}
	r.Name, r.Message = printable(r.Name), printable(r.Message)
	if numbers := number.FindAllString(r.Message, -1); r.Floor <= 0 && len(numbers) > 0 {
		r.Floor, _ = strconv.ParseInt(numbers[len(numbers)-1], 10, 64)
	}
	r.Floor = max(r.Floor, 0)
	return r
}

// printable is what of a server's words is shown to people: one line, not long.
func printable(text string) string {
	const most = 200 // bytes
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(clean) > most {
		clean = strings.ToValidUTF8(clean[:most], "") + "…"
	}
	return strings.TrimSpace(clean)
}
