package xstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const goodToken = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0%2BuSeid"

// fakeX speaks as X does, on loopback: rules with pages, one connection for
// each app, 409 without rules, limits in headers. What a connection delivers is
// a script, one visit for each.
type fakeX struct {
	*httptest.Server
	t    testing.TB
	slot chan struct{} // of the connection

	mu       sync.Mutex
	script   []visit
	visits   []string // what each request for the stream asked for
	rules    []remoteRule
	made     int      // rules
	changes  []string // requests that changed rules
	refuses  string   // a rule with this in it is invalid
	problems []answer // that the next requests for rules get
}

// A visit is what happens to one request for the stream.
type visit func(*connection)

// answer is a whole one.
type answer struct {
	status int
	header map[string]string
	body   string
}

// connection is one request for the stream.
type connection struct {
	w    http.ResponseWriter
	r    *http.Request
	fake *fakeX
}

func newFakeX(t testing.TB, script ...visit) *fakeX {
	f := &fakeX{t: t, script: script, slot: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+streamPath, f.stream)
	mux.HandleFunc("GET "+rulesPath, f.list)
	mux.HandleFunc("POST "+rulesPath, f.change)
	f.Server = httptest.NewServer(f.guard(mux))
	t.Cleanup(f.Close)
	return f
}

// guard refuses who does not say who he is.
func (f *fakeX) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-rate-limit-limit", "50")
		w.Header().Set("x-rate-limit-remaining", "49")
		if r.Header.Get("Authorization") != "Bearer "+goodToken || !strings.HasPrefix(r.UserAgent(), "tagtide") {
			answer{401, nil, `{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}`}.to(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (a answer) to(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	fmt.Fprint(w, a.body)
}

// answers is a visit that gets no stream.
func answers(status int, body string, header ...string) visit {
	a := answer{status, map[string]string{}, body}
	for i := 0; i+1 < len(header); i += 2 {
		a.header[header[i]] = header[i+1]
	}
	return func(c *connection) { a.to(c.w) }
}

// says is a visit that gets lines, until X ends it.
func says(lines ...string) visit {
	return func(c *connection) {
		for _, line := range lines {
			c.send(line + "\r\n")
		}
	}
}

// then is one visit after the other, on one connection.
func then(vs ...visit) visit {
	return func(c *connection) {
		for _, v := range vs {
			v(c)
		}
	}
}

// part sends bytes that are no line.
func part(s string) visit { return func(c *connection) { c.send(s) } }

// cut ends the connection as a broken cable would.
func cut(*connection) { panic(http.ErrAbortHandler) }

// waits says nothing any more until the client goes.
func waits(c *connection) {
	c.send("")
	<-c.r.Context().Done()
}

func (c *connection) send(s string) {
	fmt.Fprint(c.w, s)
	if err := http.NewResponseController(c.w).Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (f *fakeX) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case f.slot <- struct{}{}: // soon, if the client has just gone
	case <-time.After(5 * time.Second):
		answer{429, nil, tooMany}.to(w)
		return
	}
	defer func() { <-f.slot }()
	f.next(r)(&connection{w, r, f})
}

// next is what the next connection gets. Behind the script, it is silence.
func (f *fakeX) next(r *http.Request) visit {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.visits = append(f.visits, r.URL.RawQuery)
	if len(f.rules) == 0 {
		return answers(409, `{"title":"Conflict","detail":"There are no rules","type":"about:blank"}`)
	}
	if len(f.script) == 0 {
		return waits
	}
	v := f.script[0]
	f.script = f.script[1:]
	return v
}

const (
	tooMany = `{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.",` +
		`"connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}`
	usedUp = `{"account_id":1,"product_name":"standard-basic","title":"UsageCapExceeded","period":"Monthly","scope":"Product",` +
		`"detail":"Usage cap exceeded: Monthly product cap","type":"https://api.twitter.com/2/problems/usage-capped"}`
	operational = `{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect",` +
		`"detail":"This stream has been disconnected upstream for operational reasons.","type":"https://api.x.com/2/problems/operational-disconnect"}]}`
)

// list tells the rules, three a page.
func (f *fakeX) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.problems) > 0 {
		f.problems[0].to(w)
		f.problems = f.problems[1:]
		return
	}
	const pageSize = 3
	from, _ := strconv.Atoi(r.URL.Query().Get("pagination_token"))
	var page rulesAnswer
	page.Data = f.rules[from:min(from+pageSize, len(f.rules))]
	if from+pageSize < len(f.rules) {
		page.Meta.NextToken = strconv.Itoa(from + pageSize)
	}
	_ = json.NewEncoder(w).Encode(page)
}

// change adds and deletes rules.
func (f *fakeX) change(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Add    []remoteRule
		Delete struct{ IDs []string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		answer{400, nil, `{"title":"Invalid Request","type":"https://api.x.com/2/problems/invalid-request"}`}.to(w)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var a rulesAnswer
	for _, id := range body.Delete.IDs {
		f.changes = append(f.changes, "delete "+id)
		f.rules = slices.DeleteFunc(f.rules, func(r remoteRule) bool { return r.ID == id })
	}
	for _, rule := range body.Add {
		f.add(rule, &a)
	}
	a.Meta.Summary.Created = len(a.Data)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(a)
}

func (f *fakeX) add(r remoteRule, a *rulesAnswer) {
	f.changes = append(f.changes, "add "+r.Value)
	_, err := parseRule(r.Value)
	switch {
	case slices.ContainsFunc(f.rules, func(o remoteRule) bool { return o.Value == r.Value }):
		a.Errors = append(a.Errors, problem{Value: r.Value, Title: "DuplicateRule", Type: "https://api.x.com/2/problems/duplicate-rules"})
	case err != nil, f.refuses != "" && strings.Contains(r.Value, f.refuses):
		a.Errors = append(a.Errors, problem{Value: r.Value, Title: "UnprocessableEntity", Type: "https://api.x.com/2/problems/invalid-rules",
			Details: []string{fmt.Sprint("cannot parse rule (at position 3)", err)}})
	default:
		f.made++
		r.ID = strconv.Itoa(1000 + f.made)
		f.rules = append(f.rules, r)
		a.Data = append(a.Data, r)
	}
}
