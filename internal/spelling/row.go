package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// A Row is what is known of one tag: its spellings, the most used first, ties
// by byte order; in the bytes of the table, which docs/formats/spellings.md
// draws. "" is no row: all uses are in the spelling that is the key.
//
// A row does not say how often the first spelling was used: that is what the
// others leave of the tag's count. So a use of the most used one, which is what
// most uses are, changes no row.
type Row string

// Display is the most used spelling; "" if there is no row.
func (r Row) Display() string {
	l := r.names()
	if n, ok := countNames(l); !ok || n == 0 {
		return ""
	}
	first, _ := l.cut()
	return first
}

// names are the spellings, behind the numbers if there are any. They may be
// none as long as nobody has looked.
func (r Row) names() names {
	for i := range len(r) {
		switch c := r[i]; {
		case c == ':':
			return names(r)
		case c == ' ':
			return names(r[i+1:])
		}
	}
	return ""
}

// A Count is how often a spelling was used.
type Count struct {
	Spelling string
	Uses     int64
}

// Counts are the spellings of a key with so many uses in all, and how many of
// these are in none that is listed.
func (r Row) Counts(key string, total int64) (listed []Count, rest int64, err error) {
	entries, rest, err := r.entries(nil, key, total)
	for _, e := range entries {
		listed = append(listed, Count{strings.Clone(e.spelling), e.n})
	}
	return listed, rest, err
}

func (r Row) entries(dst []entry, key string, total int64) (entries []entry, rest int64, err error) {
	if r == "" {
		return append(dst, entry{key, total}), 0, nil
	}
	var by [Most]int64
	l, rest, err := parse(string(r), by[1:])
	if err != nil {
		return nil, 0, err
	}
	total -= rest
	for i := 0; l != ""; i++ {
		e := entry{n: by[i]}
		e.spelling, l = l.cut()
		total -= e.n
		dst = append(dst, e)
	}
	dst[0].n = total
	return dst, rest, nil
}

// After is the row of a key with so many uses in all, c among them. If nothing
// about it has changed that is r itself, else it shares nothing with r, c or
// key.
func (r Row) After(key string, total int64, c Change) (Row, error) {
	if r.more(key, c) {
		return r, nil
	}
	var room [2*Most + 1]entry
	all, rest, err := r.entries(room[:0], key, total-c.Total)
	if err != nil {
		return "", err
	}
	rest += c.rest
	own := c.Total - c.rest // of the key itself
	for i, l := 0, c.listed; l != ""; i++ {
		var s string
		s, l = l.cut()
		all = increase(all, s, c.by[i])
		own -= c.by[i]
	}
	all = increase(all, key, own)
	all = settle(all, &rest)
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.spelling, b.spelling))
	})
	all = reduced(all, &rest)
	if next := rowOf(all, rest, key); next != r {
		return next, nil
	}
	return r, nil
}

// more tells whether a change only adds to the first spelling.
func (r Row) more(key string, c Change) bool {
	switch {
	case c.Total < 0 || c.rest != 0:
		return false
	case c.listed == "" && r == "":
		return true
	case c.listed == "":
		var room [64]byte
		return strings.HasPrefix(string(r.names()), string(appendName(room[:0], key)))
	case c.by[0] != c.Total:
		return false
	}
	_, others := c.listed.cut()
	return others == "" && strings.HasPrefix(string(r.names()), string(c.listed))
}

func increase(all []entry, spelling string, n int64) []entry {
	if n == 0 {
		return all
	}
	for i := range all {
		if all[i].spelling == spelling {
			all[i].n += n
			return all
		}
	}
	return append(all, entry{spelling, n})
}

// settle sees to it that nothing is below zero, and drops what is at zero. What
// was taken back from a spelling that did not have it is taken from the rest,
// and, should that not have it either, from the others: then counts and
// spellings were not kept by the same version.
func settle(all []entry, rest *int64) []entry {
	for i := range all {
		if all[i].n < 0 {
			*rest += all[i].n
			all[i].n = 0
		}
	}
	for *rest < 0 {
		most := &all[0]
		for i := range all {
			if all[i].n > most.n {
				most = &all[i]
			}
		}
		if most.n == 0 {
			*rest = 0
			break
		}
		part := min(most.n, -*rest)
		most.n -= part
		*rest += part
	}
	return slices.DeleteFunc(all, func(e entry) bool { return e.n == 0 })
}

// reduced leaves Most of the sorted entries: from all is taken what the first
// one too many has.
func reduced(all []entry, rest *int64) []entry {
	if len(all) <= Most {
		return all
	}
	least := all[Most].n
	for i := range all {
		part := min(least, all[i].n)
		all[i].n -= part
		*rest += part
	}
	return slices.DeleteFunc(all, func(e entry) bool { return e.n == 0 })
}

// rowOf is the row of sorted entries.
func rowOf(all []entry, rest int64, key string) Row {
	switch {
	case rest == 0 && (len(all) == 0 || len(all) == 1 && all[0].spelling == key):
		return ""
	case len(all) == 0: // nothing but rest
		all = []entry{{spelling: key}}
	}
	var by [Most]int64
	for i := range all[1:] {
		by[i] = all[i+1].n
	}
	var room [256]byte
	b := room[:0]
	if rest != 0 || len(all) > 1 {
		b = appendNumbers(b, rest, by[:len(all)-1])
	}
	return Row(appendNames(b, all))
}
