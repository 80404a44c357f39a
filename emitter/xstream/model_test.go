package xstream

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/post"
)

// A node is a rule as X understands it, as far as we write rules: alternatives
// of terms that must all match, a term being an operator or a rule in brackets.
type node struct {
	or       [][]node
	operator string // if there is no or
}

// parseRule reads a rule as X does, and finds what X would not take.
func parseRule(s string) (node, error) {
	n, rest, err := parseAlternatives(s)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q follows", rest)
	}
	return n, err
}

func parseAlternatives(s string) (n node, rest string, err error) {
	n.or = [][]node{nil}
	for s != "" && s[0] != ')' {
		var term node
		if s[0] == '(' {
			if term, s, err = parseAlternatives(s[1:]); err != nil {
				return n, s, err
			}
			if !strings.HasPrefix(s, ")") {
				return n, s, errors.New("a bracket is not closed")
			}
			s = s[1:]
		} else if term.operator, s, err = cutOperator(s); err != nil {
			return n, s, err
		}
		last := len(n.or) - 1
		switch {
		case term.operator == "OR":
			n.or = append(n.or, nil)
		default:
			n.or[last] = append(n.or[last], term)
		}
		s = strings.TrimPrefix(s, " ")
	}
	for _, and := range n.or {
		if len(and) == 0 {
			return n, s, errors.New("an operand is missing")
		}
	}
	return n, s, nil
}

// cutOperator cuts off the first operator.
func cutOperator(s string) (operator, rest string, err error) {
	if s[0] == '"' {
		end := strings.IndexByte(s[1:], '"')
		if end < 1 {
			return "", s, errors.New("a quotation mark is not closed, or nothing is quoted")
		}
		return s[:end+2], s[end+2:], nil
	}
	end := strings.IndexAny(s, " )")
	if end < 0 {
		end = len(s)
	}
	operator = s[:end]
	bare := strings.TrimLeft(operator, "#@$")
	if bare == "" || strings.ContainsAny(bare, `"\:-()#@$`) || strings.ContainsFunc(bare, unicode.IsSpace) {
		return "", s, fmt.Errorf("%q is no operator", operator)
	}
	return operator, s[end:], nil
}

// matches tells whether a post is delivered. Where X says nothing, it is not.
func (n node) matches(p *post.Post) bool {
	if n.or == nil {
		return matches(n.operator, p)
	}
	for _, and := range n.or {
		all := true
		for _, term := range and {
			all = all && term.matches(p)
		}
		if all {
			return true
		}
	}
	return false
}

func matches(operator string, p *post.Post) bool {
	text := strings.ToLower(string(p.Text))
	folded := string(hashtag.FoldText(nil, p.Text))
	switch sign, name := operator[0], operator[1:]; sign {
	case '"':
		phrase := strings.Trim(operator, `"`)
		return strings.Contains(text, phrase) || strings.Contains(folded, phrase)
	case '#':
		for _, tag := range p.Tags {
			if hashtag.Key(string(tag)) == hashtag.Key(name) {
				return true
			}
		}
		return strings.Contains(folded, hashtag.Key(operator))
	case '@', '$':
		return strings.Contains(text, operator)
	}
	for _, t := range []string{text, folded} {
		for _, token := range strings.FieldsFunc(t, noToken) {
			if token == operator {
				return true
			}
		}
	}
	return false
}

func noToken(r rune) bool {
	return r == utf8.RuneError || r != '_' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
}
