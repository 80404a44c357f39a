package live_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/emitter/live"
)

// FuzzMembers: of JSON the members are those that encoding/json finds; of
// anything else they are parts of it.
func FuzzMembers(f *testing.F) {
	for _, data := range []string{
		`{"id":"1","edited_at":null,"tags":[{"a":"]}\"\\"}, 2 ] , "x" : -1.5e3 }`, ` { } `, `{"a":"\\","a":"\\\""}`, `{"":{}}`, `[]`, `{`, `{"a"`, `{"a":1`, `{"a":,}`, `"x`, `{"a":"\u00e9\ud800"}`, "{\"a\":\"\xff\"}",
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		got := map[string]string{}
		for key, value := range live.Members([]byte(data)) {
			got[string(key)] = string(value)
			if !strings.Contains(data, string(key)) || !strings.Contains(data, string(value)) {
				t.Errorf("%q: %q has not been in it", key, value)
			}
		}
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(data), &want) != nil || strings.Contains(data, `\`) || want == nil {
			return // escaped keys are not undone
		}
		for key, value := range want {
			if strings.ToValidUTF8(key, "") != key || strings.Contains(key, "\uFFFD") {
				return
			}
			if got[key] != string(value) {
				t.Errorf("%s is %q, want %q", key, got[key], value)
			}
			var text string
			if json.Unmarshal(value, &text) == nil && live.Text(value) != text {
				t.Errorf("the text of %s is %q, want %q", value, live.Text(value), text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d members, want %d", len(got), len(want))
		}
	})
}

func TestTextIsThatOfStrings(t *testing.T) {
	for value, want := range map[string]string{`"a"`: "a", `"\u00e9\"\\"`: `é"\`, "\"\xff\"": "\uFFFD", `1`: "", `null`: "", `["a"]`: "", `""`: "", `"`: "", `"\x"`: "", ``: ""} {
		if got := live.Text([]byte(value)); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}
