package xstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var articles = []string{"corona virus", "COVID-19", "pandemic"}

func TestRulesAreMadeAndStaleOnesDeleted(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1)), waits))
	f.rules = []remoteRule{
		{"1", `"covid-19"`, "tagtide:hashtags"}, {"2", "(old OR #old)", "tagtide:hashtags"}, {"3", "(old OR #old)", "tagtide:others"},
		{"4", "cats", ""}, {"5", "(pandemic OR #pandemic)", "theirs"},
	}
	r := start(t, f, Options{Track: articles})
	r.until("1[]")
	if want := []string{"delete 2", "add (corona OR #corona) (virus OR #virus)"}; !slices.Equal(f.changes, want) {
		t.Errorf("changed %q, want %q", f.changes, want)
	}
	if !strings.Contains(r.logs.String(), "the app has rules of others") || len(f.rules) != 5 {
		t.Errorf("%v\n%s", f.rules, r.logs)
	}
	if got := f.visits[0]; !strings.Contains(got, "expansions=referenced_tweets.id") || !strings.Contains(got, "note_tweet") {
		t.Errorf("asked for %s", got)
	}
}

func TestRulesThatAreThereStay(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1)), cut), then(says(tweet(2)), waits))
	r := start(t, f, Options{Track: articles, Group: "mine"})
	r.until("1[]", "2[]")
	if len(f.changes) != 3 || f.rules[0].Tag != "tagtide:mine" {
		t.Errorf("%q %v", f.changes, f.rules)
	}
	f.mu.Lock()
	f.script, f.changes = []visit{then(says(tweet(3)), waits)}, nil
	f.mu.Unlock()
	start(t, f, Options{Track: articles, Group: "mine"}).until("3[]")
	if len(f.changes) > 0 {
		t.Errorf("changed %q", f.changes)
	}
}

func TestRulesThatVanishAreMadeAgain(t *testing.T) {
	f := newFakeX(t)
	f.script = []visit{
		func(c *connection) {
			c.send(tweet(1) + "\r\n")
			f.mu.Lock()
			f.rules = nil
			f.mu.Unlock()
		},
		then(says(tweet(2)), waits),
	}
	r := start(t, f, Options{})
	r.until("1[]", "2[]")
	if len(f.changes) != 2 || !strings.Contains(r.State().Problem, "There are no rules") {
		t.Errorf("%q %+v", f.changes, r.State())
	}
	r.waited(0, 0)
}

func TestARuleThatXRefusesIsNamed(t *testing.T) {
	f := newFakeX(t)
	f.refuses = "virus"
	said := start(t, f, Options{Track: articles}).failed()
	if !strings.Contains(said, `--track "corona virus"`) || !strings.Contains(said, "cannot parse rule") || strings.Contains(said, "pandemic") {
		t.Errorf("ended by %q", said)
	}
}

// X answers with a status of failure, too, when it takes none of them.
func TestRefusedRules(t *testing.T) {
	rules := []rule{{"a", []string{"A"}}, {"b", []string{"B"}}}
	duplicate := func(value string) problem { return problem{Value: value, Title: "DuplicateRule"} }
	for name, c := range map[string]struct {
		answer string
		status int
		names  string
		remedy remedy
	}{
		"all are there":     {`{"meta":{"summary":{"created":0,"not_created":2}},"errors":[` + text(duplicate("a")) + `,` + text(duplicate("b")) + `]}`, 200, "", 0},
		"the same, refused": {`{"title":"Invalid","type":"x/invalid-rules","errors":[` + text(duplicate("a")) + `,` + text(duplicate("b")) + `]}`, 400, "", 0},
		"one is made":       {`{"data":[{"id":"1","value":"a"}],"meta":{"summary":{"created":1}},"errors":[` + text(duplicate("b")) + `]}`, 201, "", 0},
		"one is not":        {`{"data":[{"id":"1","value":"a"}],"meta":{"summary":{"created":1,"invalid":1}},"errors":[{"value":"b","title":"no","details":["because"]}]}`, 201, "the rule b made of --track \"B\" is refused by X: no; because", hopeless},
		"refused":           {`{"title":"Invalid","detail":"see","type":"x/invalid-rules","errors":[{"value":"a","details":["why"]}]}`, 422, "\"A\" is refused by X: ; why", hopeless},
		"one is lost":       {`{"data":[{"id":"1"}],"meta":{"summary":{"created":1}}}`, 201, "1 of 2", later},
		"the cap":           {`{"title":"RulesCapExceeded","detail":"at most 25","type":"https://api.x.com/2/problems/rule-cap"}`, 400, "at most 25", hopeless},
		"an answer of air":  {`{}`, 200, "0 of 2", later},
	} {
		var answer rulesAnswer
		var err error
		if c.status >= 300 {
			f := fail("POST", c.status, nil, []byte(c.answer))
			answer.Errors, err = f.rules, f
		} else {
			lenient([]byte(c.answer), &answer)
		}
		err = refused(rules, &answer, err)
		f, _ := err.(*failure)
		if (err == nil) != (c.names == "") || f != nil && (f.remedy != c.remedy || !strings.Contains(f.Error(), c.names)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func text(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func TestTroubleWithRulesIsWaitedFor(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1)), waits))
	f.problems = []answer{{503, nil, ``}, {429, nil, ``}, {200, nil, `not json`}, {200, nil, `{"data":[{"id":7,"value":[],"tag":"tagtide:hashtags"}],"meta":"?"}`}}
	r := start(t, f, Options{})
	r.until("1[]")
	r.waited(5*time.Second, time.Minute, 5*time.Second)
}

func TestManyRulesAreChangedInSeveralRequests(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1)), waits))
	var track []string
	for i := range 250 {
		track = append(track, fmt.Sprint("word", i))
		f.rules = append(f.rules, remoteRule{fmt.Sprint("old", i), fmt.Sprint("old", i), "tagtide:hashtags"})
	}
	start(t, f, Options{Track: track}).until("1[]")
	if len(f.rules) != 250 || f.rules[249].Value != "(word249 OR #word249)" {
		t.Errorf("%d rules", len(f.rules))
	}
}

func FuzzRulesAnswer(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"1","value":"a","tag":"ours"},{"id":"2","value":"b","tag":"ours"},{"id":"3","value":"c"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer rulesAnswer
		lenient(data, &answer)
		p := makePlan([]rule{{value: "a"}}, answer.Data, "ours")
		for _, id := range p.remove {
			if id == "" || !slices.ContainsFunc(answer.Data, func(r remoteRule) bool { return r.ID == id && r.Tag == "ours" }) {
				t.Errorf("%q deletes %q", data, id)
			}
		}
		if err := refused([]rule{{value: "a"}}, &answer, nil); err != nil && strings.ContainsAny(err.Error(), "\x00\x1b") {
			t.Errorf("%q", err)
		}
	})
}
