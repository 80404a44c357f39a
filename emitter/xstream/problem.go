package xstream

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A problem is what X says that is wrong: the body of an answer, or a message
// of the stream.
//
//	{"title":…,"detail":…,"type":"https://api.x.com/2/problems/usage-capped",…}
//	{"errors":[{"title":…,"type":…,"disconnect_type":…},…]}
//	{"errors":[{"code":88,"message":"Rate limit exceeded"}]}
type problem struct {
	Title           string    `json:"title"`
	Detail          string    `json:"detail"`
	Type            string    `json:"type"`
	Message         string    `json:"message"`          // in the place of detail
	ConnectionIssue string    `json:"connection_issue"` // TooManyConnections
	DisconnectType  string    `json:"disconnect_type"`
	Value           string    `json:"value"`   // of a rule that it is about
	Details         []string  `json:"details"` // on that rule
	Errors          []problem `json:"errors"`
}

// A message of the stream is a post with its envelope, a problem, or both: then
// it is a post of which X could not find something that belongs to it.
type message struct {
	Data json.RawMessage `json:"data"`
	problem
}

// problemIn finds the problem that a message of the stream is.
func problemIn(line []byte) (problem, bool) {
	if !bytes.Contains(line, []byte(`"errors"`)) && !bytes.Contains(line, []byte(`"title"`)) {
		return problem{}, false
	}
	var m message
	lenient(line, &m)
	if len(m.Data) > 0 && string(m.Data) != "null" {
		return problem{}, false
	}
	p := m.problem.first()
	return p, p.Type != "" || p.Title != "" || p.Message != "" || p.Detail != ""
}

// lenient decodes what it can. A field of another type than X documents is left
// out, as the next version of the API may have it.
func lenient(data []byte, into any) { _ = json.Unmarshal(data, into) }

// first is the problem, or the first in it if it only wraps others. It keeps
// the others.
func (p problem) first() problem {
	if p.Type == "" && p.Detail == "" && len(p.Errors) > 0 {
		others := p.Errors
		p = p.Errors[0]
		p.Errors = others
	}
	return p
}

// name is the last word of the type, usage-capped say, in whichever spelling.
func (p problem) name() string {
	if p.Type == "" || p.Type == "about:blank" {
		return strings.ToLower(p.Title)
	}
	return path.Base(p.Type)
}

// String is what X says, short enough for a line.
func (p problem) String() string {
	said := cmp.Or(p.Detail, p.Message, p.Title)
	for _, d := range p.Details {
		said += "; " + d
	}
	for _, e := range p.Errors {
		if e.Message != "" && e.Message != said {
			said += "; " + e.Message
		}
	}
	return clip(said)
}

// clip makes a line of what somebody else wrote, at most 300 bytes of it.
func clip(s string) string {
	const most = 300
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// A remedy is what helps against a failure.
type remedy int

const (
	again    remedy = iota // connect again: an established connection ended
	network                // the network failed
	later                  // X has trouble
	limited                // too many requests
	crowded                // the app has its connection already
	capped                 // what was paid for is used up
	renew                  // the rules are gone
	hopeless               // a person has to mend it
)

// A failure is why there is no stream.
type failure struct {
	remedy remedy
	until  time.Time // when X says that it may be tried again; zero: it does not
	rules  []problem // which rules X does not take
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail makes a failure of an answer that is none of 200 to 299.
func fail(tried string, status int, header http.Header, body []byte) *failure {
	var p problem
	lenient(body, &p)
	p = p.first()
	f := &failure{remedy: remedyFor(status, p)}
	if f.remedy == limited {
		f.until = reset(header)
	}
	f.rules = slices.DeleteFunc(slices.Clone(p.Errors), func(e problem) bool { return e.Value == "" })
	said := p.String()
	if said == "" {
		said = http.StatusText(status)
	}
	f.err = fmt.Errorf("%s: HTTP %d: %s%s", tried, status, said, advice(f.remedy, status))
	return f
}

func remedyFor(status int, p problem) remedy {
	switch {
	case p.name() == "usage-capped" || status == http.StatusPaymentRequired:
		return capped
	case strings.EqualFold(p.ConnectionIssue, "TooManyConnections"):
		return crowded
	case status == http.StatusTooManyRequests || status == 420:
		return limited
	case status == http.StatusConflict:
		return renew
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return later
	}
	return hopeless
}

// inStream makes a failure of a problem that the stream told, nil if the stream
// goes on.
func inStream(p problem) *failure {
	f := &failure{remedy: again}
	switch name := p.name(); {
	case name == "usage-capped":
		f.remedy = capped
	case strings.EqualFold(p.ConnectionIssue, "TooManyConnections"):
		f.remedy = crowded
	case name == "rate-limit-exceeded":
		f.remedy = limited
	case name == "client-forbidden":
		f.remedy = hopeless
	case name == "operational-disconnect", name == "streaming-connection", p.DisconnectType != "":
	default:
		return nil
	}
	f.err = fmt.Errorf("the stream was ended by X: %s%s", p, advice(f.remedy, 0))
	return f
}

// advice is what to look at.
func advice(r remedy, status int) string {
	switch {
	case r == capped:
		return " (what the project may read is used up: look at usage, spending limit and credits in X's developer console; it is tried again every now and then)"
	case r == crowded:
		return " (X allows one connection for each app: another program uses this app, or X has not noticed yet that the last connection ended)"
	case status == http.StatusUnauthorized:
		return " (X does not accept the token: it must be the app's Bearer Token from X's developer console, whole and not revoked; keys, secrets and users' tokens do not do)"
	case status == http.StatusForbidden:
		return " (the token is sound, but its app may not do this: in X's developer console it must belong to a project with access to the filtered stream)"
	case status == http.StatusNotFound:
		return " (is --server the base URL of X's API?)"
	}
	return ""
}

// reset is when a limit of requests ends, if that is what was met: there are
// others that these headers know nothing of.
func reset(h http.Header) time.Time {
	if left := h.Get("x-rate-limit-remaining"); left != "" && left != "0" {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(h.Get("x-rate-limit-reset"), 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
