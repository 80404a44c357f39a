package post

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/hashtag"
)

var trackCases = []struct {
	phrases []string
	text    string
	tags    []string
	want    bool
}{
	{nil, "anything", nil, true},

	// The article's three.
	{[]string{"corona virus", "COVID-19", "pandemic"}, "the pandemic.", nil, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "#Pandemic", nil, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "cut off…", []string{"PANDEMIC"}, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "pandemics", []string{"pandemics"}, false},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "(covid-19)", nil, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "ＣＯＶＩＤ－１９", nil, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "#COVID-19 xCOVID-19 COVID-190", []string{"COVID"}, false},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "#COVID19", []string{"COVID19"}, false},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "a virus, it is said: Corona!", nil, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "a virus", []string{"corona"}, true},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "corona beer", nil, false},
	{[]string{"corona virus", "COVID-19", "pandemic"}, "coronavirus", nil, false},
	{[]string{"corona virus,COVID-19,pandemic"}, "corona beer, covid-19", nil, true},

	// Twitter's own examples.
	{[]string{"Twitter"}, "TWITTER", nil, true},
	{[]string{"Twitter"}, `"Twitter"`, nil, true},
	{[]string{"Twitter"}, "twitter.", nil, true},
	{[]string{"Twitter"}, "#twitter", nil, true},
	{[]string{"Twitter"}, "@twitter", nil, true},
	{[]string{"Twitter"}, "http://twitter.com", nil, true},
	{[]string{"Twitter"}, "TwitterTracker", nil, false},
	{[]string{"Twitter"}, "#newtwitter", nil, false},
	{[]string{"Twitter's"}, "I like Twitter's new design", nil, true},
	{[]string{"Twitter's"}, "Someday I'd like to visit @Twitter's office", nil, false},
	{[]string{"twitter api", "twitter streaming"}, "The Twitter API is awesome", nil, true},
	{[]string{"twitter api", "twitter streaming"}, "Twitter has a streaming API", nil, true},
	{[]string{"twitter api", "twitter streaming"}, "I'm new to Twitter", nil, false},
	{[]string{"example.com"}, "Someday I will visit example.com", nil, true},
	{[]string{"example.com"}, "There is no example.com/foobarbaz", nil, false},
	{[]string{"example.com/foobarbaz"}, "www.example.com/foobarbaz", nil, true},
	{[]string{"www.example.com/foobarbaz"}, "example.com/foobarbaz", nil, false},
	{[]string{"example com"}, "foo.example.com/bar", nil, true},
	{[]string{"example com"}, "merely another example of a dot com boom!", nil, true},

	{[]string{"año"}, "AÑO nuevo", nil, true},
	{[]string{"año"}, "ano", nil, false},
	{[]string{"#a"}, "x#a #ab", nil, false},
	{[]string{"#a"}, "", []string{"A"}, true},
	{[]string{"a-a"}, "xa-a-a", nil, true},
	{[]string{"a-a a-a"}, "a-a", nil, true},
	{[]string{"snake_case"}, "snake case", nil, false},
}

func TestTrack(t *testing.T) {
	for _, c := range trackCases {
		track, err := NewTrack(c.phrases...)
		if err != nil {
			t.Fatal(err)
		}
		p := Post{Text: []byte(c.text)}
		for _, tag := range c.tags {
			p.Tags = append(p.Tags, []byte(tag))
		}
		for range 2 {
			if got := track.Match(&p); got != c.want {
				t.Errorf("%q with the hashtags %q and the text %q: %v", c.phrases, c.tags, c.text, got)
			}
		}
	}
	if !(*Track)(nil).Match(&Post{}) {
		t.Error("no track matches everything")
	}
	for _, phrase := range []string{"", " ", ",", "\u3000"} {
		if _, err := NewTrack("fine", phrase); err == nil {
			t.Errorf("%q: no error", phrase)
		}
	}
}

// The article's phrases mean the same in the posts of every network.
func TestTrackOnEverySource(t *testing.T) {
	track, err := NewTrack("corona virus", "COVID-19", "pandemic")
	if err != nil {
		t.Fatal(err)
	}
	for form, network := range map[string]string{
		"x v1.1":     `{"id_str":"1","text":"TEXT"}`,
		"x v1.1, RT": `{"id_str":"1","text":"RT cut…","retweeted_status":{"id_str":"2","full_text":"TEXT"}}`,
		"x v2":       `{"data":{"id":"1","text":"TEXT"}}`,
		"x v2, long": `{"data":{"id":"1","text":"cut…","note_tweet":{"text":"TEXT"}}}`,
		"bluesky":    frame(`{"text":"TEXT"}`),
		"mastodon":   `{"uri":"u","tags":[],"content":"<p>TEXT</p>"}`,
	} {
		for text, want := range map[string]bool{
			"A Corona-like virus":         true,
			"the corona is no VIRUS":      true,
			"coronavirus":                 false,
			"stay safe, covid-19 is here": true,
			"ＣＯＶＩＤ－１９":                    true,
			"covid":                       false,
			"in a #Pandemic!":             true,
			"the pandemics of the past":   false,
		} {
			p, _ := decode(t, strings.Replace(network, "TEXT", text, 1))
			if got := track.Match(&p); got != want {
				t.Errorf("%s, %q: %v", form, text, got)
			}
		}
	}
	for value, want := range map[string]bool{
		frame(`{"text":"","tags":["Pandemic"]}`):                                      true,
		`{"uri":"u","content":"<p>#<span>PANDEMIC</span></p>","tags":[{"name":"x"}]}`: true,
		`{"uri":"u","content":"","tags":[{"name":"pandemic"}]}`:                       true,
		`{"tagtide":1,"source":"demo","tags":["Corona","virus"]}`:                     true,
		`{"tagtide":1,"source":"demo","tags":["Corona"]}`:                             false,
	} {
		if p, _ := decode(t, value); track.Match(&p) != want {
			t.Errorf("%s does not match: %v", value, want)
		}
	}
}

var (
	wordForm   = regexp.MustCompile(`^[_\pL\pM\pN]+$`)
	beforeForm = regexp.MustCompile(`(?:^|[^#@_\pL\pM\pN])$`)
	behindForm = regexp.MustCompile(`^(?:$|[^_/\pL\pM\pN]|/(?:$|[^_\pL\pM\pN]))`)
)

// slowTrack looks for each word of each phrase at each place of the text.
func slowTrack(phrase, text, tag string) bool {
	folded := string(hashtag.FoldText(nil, []byte(text)))
	key := hashtag.Key(tag)
	for part := range strings.SplitSeq(phrase, ",") {
		words := strings.Fields(string(hashtag.FoldText(nil, []byte(part))))
		all := len(words) > 0
		for _, word := range words {
			all = all && (slowWord(word, folded) || wordForm.MatchString(word) && word == key || word == "#"+key)
		}
		if all {
			return true
		}
	}
	return false
}

func slowWord(word, text string) bool {
	plain := wordForm.MatchString(word)
	for i := range text {
		rest, found := strings.CutPrefix(text[i:], word)
		if !found {
			continue
		}
		before, behind := beforeForm.MatchString(text[:i]), behindForm.MatchString(rest)
		if plain { // whatever is around it
			before = before || strings.HasSuffix(text[:i], "#") || strings.HasSuffix(text[:i], "@")
			behind = rest == "" || !wordForm.MatchString(string([]rune(rest)[0]))
		}
		if before && behind {
			return true
		}
	}
	return false
}

func FuzzTrack(f *testing.F) {
	for _, c := range trackCases {
		f.Add(strings.Join(c.phrases, ","), c.text, strings.Join(c.tags, ""))
	}
	f.Fuzz(func(t *testing.T, phrase, text, tag string) {
		track, err := NewTrack(phrase)
		if err != nil {
			return
		}
		p := Post{Text: []byte(text), Tags: [][]byte{[]byte(tag)}}
		if got, want := track.Match(&p), slowTrack(phrase, text, tag); got != want {
			t.Fatalf("%q on %q #%q: %v", phrase, text, tag, got)
		}
	})
}
