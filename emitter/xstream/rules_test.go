package xstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/post"
)

func TestRulesMeanWhatTrackMeant(t *testing.T) {
	for phrase, want := range map[string]string{
		"pandemic":        `(pandemic OR #pandemic)`,
		"corona virus":    `(corona OR #corona) (virus OR #virus)`,
		"COVID-19":        `"covid-19"`,
		"COVID-19 Corona": `"covid-19" (corona OR #corona)`,
		"#StayHome":       `#stayhome`,
		"@WHO":            `@who`,
		"$TWTR":           `$twtr`,
		"19":              `19`,
		"snake_case":      `("snake_case" OR #snake_case)`,
		"this OR that":    `(this OR #this) ("or" OR #or) (that OR #that)`,
		"lang:en -rain":   `"lang:en" "-rain"`,
		"(a)":             `"(a)"`,
		"a a":             `(a OR #a)`,
		"ＣＯＶＩＤ":           `(covid OR #covid OR ｃｏｖｉｄ OR #ｃｏｖｉｄ)`,
		"Straße":          `(strasse OR #strasse OR straße OR #straße)`,
		"año":             `(año OR #año)`,
		"コロナ":             `(コロナ OR #コロナ)`,
		"😷":               `"😷"`,
		"#covid-19":       `"#covid-19"`,
		"@a.b":            `"@a.b"`,
	} {
		rules, err := makeRules([]string{phrase})
		if err != nil || len(rules) != 1 || rules[0].value != want {
			t.Errorf("%q: %v %v, want %s", phrase, rules, err, want)
		}
	}
}

func TestEachPhraseHasARule(t *testing.T) {
	rules, err := makeRules([]string{"corona virus", "COVID-19, pandemic,", "Pandemic"})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(rules)
	if want := `[{(corona OR #corona) (virus OR #virus) [corona virus]} {"covid-19" [COVID-19]} {(pandemic OR #pandemic) [pandemic Pandemic]}]`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestManyPhrasesShareRules(t *testing.T) {
	var track []string
	for i := range 5000 {
		track = append(track, fmt.Sprintf("word%d other%d", i, i))
	}
	track = append(track, strings.Repeat("long-", 200)+"x")
	rules, err := makeRules(track)
	if err != nil {
		t.Fatal(err)
	}
	var phrases []string
	for _, r := range rules {
		phrases = append(phrases, r.phrases...)
		if n := characters(r.value); n > maxRule {
			t.Errorf("a rule of %d characters", n)
		}
		if _, err := parseRule(r.value); err != nil {
			t.Errorf("%s: %v", r.value, err)
		}
	}
	if len(rules) > maxRules || !slices.Equal(phrases, track) {
		t.Errorf("%d rules for %d phrases of %d", len(rules), len(phrases), len(track))
	}
}

func TestRulesThatCannotBeAreNamed(t *testing.T) {
	var many []string
	for i := range 30000 {
		many = append(many, fmt.Sprintf("phrase number %d-%d", i, i*i))
	}
	for name, c := range map[string]struct {
		track []string
		names string
	}{
		"no phrase":         {nil, "--track"},
		"an empty phrase":   {[]string{"fine", " , "}, `" , "`},
		"a quotation mark":  {[]string{`say "hello"`}, `say \"hello\"`},
		"a backslash":       {[]string{`fine`, `a\b`}, `a\\b`},
		"too long":          {[]string{"fine, " + strings.Repeat("x", 1030)}, "xxx"},
		"more than X takes": {many, "1000"},
	} {
		if _, err := makeRules(c.track); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is tracked, X takes the rule, and delivers what would be counted.
func TestRulesAskForAllThatIsTracked(t *testing.T) {
	word := rapid.SampledFrom([]string{"corona", "Virus", "COVID-19", "ＣＯＶＩＤ", "straße", "a", "OR", "#tag", "@you", "$USD", "ñ", "コロナ",
		"19", "x_y", "😷", "(", "-", "a:b", "don't", "#", "½", "\u200d", "c++"})
	rapid.Check(t, func(t *rapid.T) {
		phrases := rapid.SliceOfN(rapid.SliceOfN(word, 1, 3), 1, 3).Draw(t, "phrases")
		var track []string
		for _, p := range phrases {
			track = append(track, strings.Join(p, " "))
		}
		p := post.Post{Text: []byte(strings.Join(rapid.SliceOf(rapid.OneOf(word,
			rapid.SampledFrom([]string{" ", "#", ", ", "corona ", "#virus ", "e"}))).Draw(t, "text"), ""))}
		if rapid.Bool().Draw(t, "tagged") {
			p.Tags = [][]byte{[]byte(rapid.SampledFrom([]string{"corona", "VIRUS", "STRASSE", "コロナ", "tag"}).Draw(t, "tag"))}
		}
		wanted, err := post.NewTrack(track...)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := makeRules(track)
		if err != nil {
			t.Fatal(err)
		}
		delivered := false
		for _, r := range rules {
			n, err := parseRule(r.value)
			if err != nil {
				t.Fatalf("%s: %v", r.value, err)
			}
			delivered = delivered || n.matches(&p)
		}
		if wanted.Match(&p) && !delivered {
			t.Errorf("%v do not deliver %q %q", rules, p.Text, p.Tags)
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add("corona virus,COVID-19,pandemic")
	f.Add("ﬀ ¨ \u00a0 OR ) (")
	f.Fuzz(func(t *testing.T, phrase string) {
		rules, err := makeRules([]string{phrase})
		for _, r := range rules {
			if _, err := parseRule(r.value); err != nil || characters(r.value) > maxRule {
				t.Errorf("%q makes %q: %v", phrase, r.value, err)
			}
		}
		if _, trackErr := post.NewTrack(phrase); (trackErr != nil) && err == nil {
			t.Errorf("%q: %v", phrase, trackErr)
		}
	})
}

func TestOnlyOurStaleRulesAreDeleted(t *testing.T) {
	wanted := []rule{{value: "a"}, {value: "b"}, {value: "c"}}
	p := makePlan(wanted, []remoteRule{
		{"1", "a", "ours"}, {"2", "old", "ours"}, {"3", "old", "theirs"}, {"4", "b", "theirs"}, {"5", "a", "ours"}, {"", "older", "ours"}, {"6", "x", ""},
	}, "ours")
	if len(p.add) != 1 || p.add[0].value != "c" || !slices.Equal(p.remove, []string{"2", "5"}) || p.kept != 1 || p.foreign != 3 {
		t.Errorf("%+v", p)
	}
}
