package xstream

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOnlyProblemsAreProblems(t *testing.T) {
	for line, want := range map[string]string{
		operational: "operational-disconnect",
		tooMany:     "streaming-connection",
		`{"errors":[{"code":88,"message":"Rate limit exceeded"}]}`:                     "",
		`{"data":null,"errors":[{"title":"Not Found"}]}`:                               "not found",
		`{"data":{"id":"1","text":"a"},"errors":[{"title":"Not Found"}]}`:              "-",
		`{"data":{"id":"1","entities":{"urls":[{"title":"operational-disconnect"}]}}}`: "-",
		`{"data":{"id":"1","text":"\"errors\""}}`:                                      "-",
		`{"errors":[]}`: "-",
		`{"errors":[`:   "-",
		`{"errors":[{"title":"a","code":"b","status":"c","type":1}]}`: "a",
	} {
		p, is := problemIn([]byte(line))
		if is != (want != "-") || is && p.name() != want {
			t.Errorf("%s: %v %q", line, is, p.name())
		}
	}
}

func FuzzProblem(f *testing.F) {
	for _, s := range []string{operational, tooMany, usedUp, `{"errors":[{"code":88,"message":"Rate\u0000 limit exceeded","errors":[{}]}]}`} {
		f.Add(429, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		said := fail("GET", status, http.Header{}, body).Error()
		if !utf8.ValidString(said) || strings.ContainsAny(said, "\n\x00\x1b") || len(said) > 1000 {
			t.Errorf("%q", said)
		}
		p, is := problemIn(body)
		if ended := inStream(p); is && ended != nil && ended.err == nil {
			t.Errorf("%q ends the stream without a reason", body)
		}
	})
}

func FuzzShape(f *testing.F) {
	for _, s := range []string{tweet(1, "a"), operational, `{"a\"b" : "c\\", "d":[-1.5e3,true,null,"e"]}`, `{"cut":"mid`, `word`, `"`, `{"a`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		shape := appendShape(nil, message)
		if len(shape) > len(message)+1 {
			t.Errorf("%q has the shape %q", message, shape)
		}
		var v any
		if json.Unmarshal(message, &v) != nil {
			return
		}
		want, _ := json.Marshal(silenced(v))
		var got any
		if err := json.Unmarshal(shape, &got); err != nil {
			t.Fatalf("%q has the shape %q: %v", message, shape, err)
		}
		if again, _ := json.Marshal(got); string(again) != string(want) {
			t.Errorf("%q has the shape %s, want %s", message, again, want)
		}
	})
}

// silenced is the slow way to empty all strings.
func silenced(v any) any {
	switch v := v.(type) {
	case string:
		return ""
	case []any:
		for i := range v {
			v[i] = silenced(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = silenced(v[k])
		}
	}
	return v
}
