package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// A Row is what is known of one tag: its spellings, the most used first, ties
// by byte order. The zero value is no row: all uses are in the spelling that is
// the key.
//
// A row does not say how often the first spelling was used: that is what the
// others leave of the tag's count. So a use of the most used one, which is what
// most uses are, changes no row.
type Row struct {
	listed names
	by     [Most]int64 // [0] is not used
	rest   int64
}

// Display is the most used spelling; "" if there is no row.
func (r Row) Display() string {
	if r.listed == "" {
		return ""
	}
	first, _ := r.listed.cut()
	return first
}

// A Count is how often a spelling was used.
type Count struct {
	Spelling string
	Uses     int64
}

// Counts are the spellings of a key with so many uses in all, and how many of
// these are in none that is listed.
func (r Row) Counts(key string, total int64) (listed []Count, rest int64) {
	var room [2*Most + 1]entry
	for _, e := range r.entries(room[:0], key, total) {
		listed = append(listed, Count{strings.Clone(e.spelling), e.n})
	}
	return listed, r.rest
}

func (r Row) entries(dst []entry, key string, total int64) []entry {
	if r.listed == "" {
		return append(dst, entry{key, total})
	}
	total -= r.rest
	for i, l := 0, r.listed; l != ""; i++ {
		e := entry{n: r.by[i]}
		e.spelling, l = l.cut()
		total -= r.by[i]
		dst = append(dst, e)
	}
	dst[0].n = total
	return dst
}

// After is the row of a key with so many uses in all, c among them, and whether
// it is another one than r. Neither r nor c nor key is kept.
func (r Row) After(key string, total int64, c Change) (next Row, changed bool) {
	if r.more(key, c) {
		return r, false
	}
	var room [2*Most + 1]entry
	all := r.entries(room[:0], key, total-c.Total)
	next.rest = r.rest + c.rest
	own := c.Total - c.rest // of the key itself
	for i, l := 0, c.listed; l != ""; i++ {
		var s string
		s, l = l.cut()
		all = increase(all, s, c.by[i])
		own -= c.by[i]
	}
	all = increase(all, key, own)
	all = settle(all, &next.rest)
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.spelling, b.spelling))
	})
	next.fill(reduced(all, &next.rest), key)
	return next, next != r
}

// more tells whether a change only adds to the first spelling.
func (r Row) more(key string, c Change) bool {
	if c.Total < 0 || c.rest != 0 {
		return false
	}
	if c.listed == "" {
		return r.listed == "" || r.Display() == key
	}
	if r.listed == "" || c.by[0] != c.Total {
		return false
	}
	one, others := c.listed.cut()
	return others == "" && one == r.Display()
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

// fill makes r the row of the sorted entries, whose rest it has.
func (r *Row) fill(all []entry, key string) {
	switch {
	case r.rest == 0 && (len(all) == 0 || len(all) == 1 && all[0].spelling == key):
		return
	case len(all) == 0: // nothing but rest
		all = []entry{{spelling: key}}
	}
	r.listed = list(all)
	for i := range all[1:] {
		r.by[i+1] = all[i+1].n
	}
}
