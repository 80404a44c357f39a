package post

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tagtide/tagtide/hashtag"
)

// Track is a filter with the meaning of Twitter's track parameter. Phrases, also those that a comma separates, are
// alternatives; all words of one phrase must occur, in any order. Case, width and compatibility forms do not
// matter. What is between spaces is a word of a phrase:
//
//   - A word of letters, digits and underscores (pandemic) matches the same word in the text, whatever punctuation
//     is around it, so also #pandemic and @pandemic, and a hashtag as a whole; not a part of a longer word, nor of
//     text that is written without spaces.
//   - A word with other characters in it (COVID-19) matches these characters in the text, unless a letter, digit
//     or underscore, or # or @ before it, shows that more belongs to it. So it matches no hashtag, unless it begins
//     with # itself.
//
// Unlike Twitter's it does not look at authors' names, nor behind shortened URLs.
//
// A Track does not change and is safe for concurrent use.
type Track struct {
	phrases [][]int        // each phrase as indices of its words
	plain   map[string]int // the folded words without punctuation, and their indices
	marked  []markedWord
	words   int // how many indices there are
	scratch sync.Pool
}

// markedWord is a folded word with punctuation.
type markedWord struct {
	word  []byte
	index int
}

// trackScratch is what matching one post needs.
type trackScratch struct {
	folded []byte
	found  []bool // by index of the word
}

// NewTrack makes a filter. A phrase without any word is an error that names it. Without phrases every post matches.
func NewTrack(phrases ...string) (*Track, error) {
	t := &Track{plain: map[string]int{}}
	t.scratch.New = func() any { return &trackScratch{found: make([]bool, t.words)} }
	for _, p := range phrases {
		before := len(t.phrases)
		for part := range strings.SplitSeq(p, ",") {
			t.add(part)
		}
		if len(t.phrases) == before {
			return nil, fmt.Errorf("track: no word in the phrase %q", p)
		}
	}
	return t, nil
}

// add adds a phrase, if it has words.
func (t *Track) add(phrase string) {
	var words []int
	for word := range bytes.FieldsSeq(hashtag.FoldText(nil, []byte(phrase))) {
		words = append(words, t.index(word))
	}
	if len(words) > 0 {
		t.phrases = append(t.phrases, words)
	}
}

// index is the index of a folded word.
func (t *Track) index(word []byte) int {
	if !bytes.ContainsFunc(word, isNoWordRune) {
		if i, known := t.plain[string(word)]; known {
			return i
		}
		t.plain[string(word)] = t.words
	} else {
		t.marked = append(t.marked, markedWord{word, t.words})
	}
	t.words++
	return t.words - 1
}

// Match reports whether p, decoded with Decoder.Text, matches. A nil Track matches every post.
func (t *Track) Match(p *Post) bool {
	if t == nil || len(t.phrases) == 0 {
		return true
	}
	s := t.scratch.Get().(*trackScratch)
	defer t.scratch.Put(s)
	clear(s.found)
	s.folded = hashtag.FoldText(s.folded[:0], p.Text)
	t.findPlain(s)
	t.findMarked(s)
	for _, tag := range p.Tags {
		s.folded = hashtag.Fold(s.folded[:0], tag)
		t.findTag(s)
	}
	return t.decide(s.found)
}

// decide reports whether all words of a phrase were found.
func (t *Track) decide(found []bool) bool {
	for _, words := range t.phrases {
		all := true
		for _, i := range words {
			all = all && found[i]
		}
		if all {
			return true
		}
	}
	return false
}

// findPlain marks the words of the folded text.
func (t *Track) findPlain(s *trackScratch) {
	text := s.folded
	for len(text) > 0 {
		start := bytes.IndexFunc(text, isWordRune)
		if start < 0 {
			return
		}
		text = text[start:]
		end := bytes.IndexFunc(text, isNoWordRune)
		if end < 0 {
			end = len(text)
		}
		if i, tracked := t.plain[string(text[:end])]; tracked {
			s.found[i] = true
		}
		text = text[end:]
	}
}

// findMarked marks the words with punctuation that are in the folded text.
func (t *Track) findMarked(s *trackScratch) {
	for _, m := range t.marked {
		for from := 0; !s.found[m.index]; {
			i := bytes.Index(s.folded[from:], m.word)
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(m.word)
			s.found[m.index] = mayPrecede(s.folded[:start]) && mayFollow(s.folded[end:])
			from = start + 1
		}
	}
}

// findTag marks the words that are the folded hashtag.
func (t *Track) findTag(s *trackScratch) {
	if i, tracked := t.plain[string(s.folded)]; tracked {
		s.found[i] = true
	}
	for _, m := range t.marked {
		if tag, hash := bytes.CutPrefix(m.word, []byte("#")); hash && bytes.Equal(tag, s.folded) {
			s.found[m.index] = true
		}
	}
}

// mayPrecede reports whether a word with punctuation may start behind before.
func mayPrecede(before []byte) bool {
	r, width := utf8.DecodeLastRune(before)
	return width == 0 || r != '#' && r != '@' && !isWordRune(r)
}

// mayFollow reports whether a word with punctuation may end before after. A path that goes on makes it another URL.
func mayFollow(after []byte) bool {
	r, width := utf8.DecodeRune(after)
	if width > 0 && r == '/' {
		r, width = utf8.DecodeRune(after[width:])
	}
	return width == 0 || !isWordRune(r)
}

func isWordRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

func isNoWordRune(r rune) bool { return !isWordRune(r) }
