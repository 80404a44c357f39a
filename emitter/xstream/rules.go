package xstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tagtide/tagtide/hashtag"
)

// Limits of X for an app that pays per use.
const (
	maxRule  = 1024 // characters
	maxRules = 1000
)

// A rule is one that we want X to have. A post is delivered that matches any
// rule of the app.
type rule struct {
	value   string   // in X's language
	phrases []string // of --track, that it stands for
}

// makeRules translates what --track asks for. The rules ask for at least what
// [post.Track] matches in the text and the hashtags of a post, so that what it
// would have counted is delivered:
//
//	pandemic      (pandemic OR #pandemic)
//	corona virus  (corona OR #corona) (virus OR #virus)
//	COVID-19      "covid-19"
//	#StayHome     #stayhome
//
// X compares a bare word with the words of the text, which are cut at its
// punctuation. That finds it behind # and @, too, but X does not promise so for
// #, and finds no hashtag beyond the end of a text that is cut: so the hashtag
// is asked for by name. Quotation marks take all meaning from what is between
// them: OR and lang:en can be tracked.
//
// Each phrase has a rule of its own, so that X's complaint about one names the
// phrase, and a changed phrase changes one rule; they share rules only if there
// are more of them than X takes.
func makeRules(track []string) ([]rule, error) {
	var rules []rule
	for _, phrases := range track {
		before := len(rules)
		for phrase := range strings.SplitSeq(phrases, ",") {
			if strings.TrimSpace(phrase) == "" {
				continue
			}
			value, err := translate(phrase)
			if err != nil {
				return nil, fmt.Errorf("track %q: %w", phrase, err)
			}
			rules = append(rules, rule{value, []string{strings.TrimSpace(phrase)}})
		}
		if len(rules) == before {
			return nil, fmt.Errorf("track: no word in the phrase %q", phrases)
		}
	}
	if len(rules) == 0 {
		return nil, errors.New("the X stream delivers what its rules ask for, and they are made of --track: give at least one phrase")
	}
	rules = distinct(rules)
	if len(rules) > maxRules {
		rules = pack(rules)
	}
	if len(rules) > maxRules {
		return nil, fmt.Errorf("track: %d rules of %d characters would be needed, X takes %d", len(rules), maxRule, maxRules)
	}
	return rules, nil
}

// distinct joins rules that say the same.
func distinct(rules []rule) []rule {
	at := map[string]int{}
	var kept []rule
	for _, r := range rules {
		if i, there := at[r.value]; there {
			kept[i].phrases = append(kept[i].phrases, r.phrases...)
			continue
		}
		at[r.value] = len(kept)
		kept = append(kept, r)
	}
	return kept
}

// pack makes as few rules of many as their order allows.
func pack(rules []rule) []rule {
	const or = " OR "
	var packed []rule
	size := 0 // of the last one
	for _, r := range rules {
		value := "(" + r.value + ")"
		n := characters(value)
		if last := len(packed) - 1; last >= 0 && size+len(or)+n <= maxRule {
			packed[last].value += or + value
			packed[last].phrases = append(packed[last].phrases, r.phrases...)
			size += len(or) + n
			continue
		}
		if size = n; size > maxRule {
			value = r.value // alone it needs no brackets
		}
		packed = append(packed, rule{value, slices.Clone(r.phrases)})
	}
	return packed
}

// translate makes the value of a rule that matches all words of a phrase.
func translate(phrase string) (string, error) {
	var terms []string
	for _, forms := range spellings(phrase) {
		t, err := term(forms)
		if err != nil {
			return "", err
		}
		if !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	value := strings.Join(terms, " ")
	if n := characters(value); n > maxRule {
		return "", fmt.Errorf("its rule would have %d characters, X takes %d", n, maxRule)
	}
	return value, nil
}

// spellings are the words of a phrase, each as it was given, in lower case, and
// folded as [post.Track] folds it, if that is another: X knows upper and lower
// case, but neither full width nor other forms.
func spellings(phrase string) [][]string {
	given := strings.Fields(strings.ToLower(phrase))
	folded := strings.Fields(string(hashtag.FoldText(nil, []byte(phrase))))
	words := make([][]string, len(folded))
	for i, word := range folded {
		words[i] = []string{word}
		if len(given) == len(folded) && given[i] != word {
			words[i] = append(words[i], given[i])
		}
	}
	return words
}

// term makes what matches one word in any of its forms.
func term(forms []string) (string, error) {
	var operators []string
	for _, form := range forms {
		if strings.ContainsFunc(form, isUnquotable) {
			return "", errors.New(`rules of X cannot hold a quotation mark, a backslash or a control character: leave it out of the phrase`)
		}
		operators = append(operators, operatorsFor(form)...)
	}
	if len(operators) == 1 {
		return operators[0], nil
	}
	return "(" + strings.Join(operators, " OR ") + ")", nil
}

// operatorsFor are the operators any of which matches a word.
func operatorsFor(word string) []string {
	sign, width := utf8.DecodeRuneInString(word)
	switch name := word[width:]; {
	case sign == '#' && isTag(name), sign == '@' && isUser(name), sign == '$' && isSymbol(name):
		return []string{word}
	case !isPlain(word):
		return []string{quote(word)}
	}
	bare := word
	if strings.Contains(word, "_") || word == "or" || word == "and" || word == "not" {
		bare = quote(word)
	}
	if !isTag(word) {
		return []string{bare}
	}
	return []string{bare, "#" + word}
}

func quote(word string) string { return `"` + word + `"` }

// isPlain tells whether a word has no punctuation.
func isPlain(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
	})
}

// isTag tells whether # before a plain word makes a hashtag of it.
func isTag(word string) bool {
	return isPlain(word) && strings.ContainsFunc(word, unicode.IsLetter) &&
		!strings.ContainsFunc(word, func(r rune) bool { return unicode.IsNumber(r) && !unicode.IsDigit(r) })
}

// isUser tells whether a user can have that name.
func isUser(name string) bool {
	return name != "" && len(name) <= 15 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && !isLatin(r) && !('0' <= r && r <= '9')
	})
}

// isSymbol tells whether $ before it makes a cashtag.
func isSymbol(name string) bool {
	return name != "" && len(name) <= 6 && !strings.ContainsFunc(name, func(r rune) bool { return !isLatin(r) })
}

func isLatin(r rune) bool { return 'a' <= r && r <= 'z' }

func isUnquotable(r rune) bool { return r == '"' || r == '\\' || unicode.IsControl(r) }

// characters is the length of a rule as the strictest way of counting has it:
// X does not say how it counts what lies beyond 16 bits.
func characters(s string) int { return len(utf16.Encode([]rune(s))) }
