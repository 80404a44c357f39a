package post

import "testing"

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
