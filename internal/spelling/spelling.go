// Package spelling remembers how often each spelling of a hashtag was used, so
// that a tag can be shown as most people write it: covid19 as COVID19.
//
//	post     Use(key, spelling, ±1)   ─▶ a Change     sums up what one commit does to one tag
//	loop     Row.After(key, n, Change) ─▶ the next Row  what the table keeps of one tag
//	view     Row.Display
//
// People invent spellings without end, so a row lists [Most] at most: a
// Misra-Gries summary, merged as in Agarwal et al., "Mergeable Summaries"
// (PODS 2012). Where a ninth comes, its count, or that of the rarest then, is
// taken from all nine, and what that takes is counted as rest, the uses of
// nothing that is listed. So each time at least nine uses move to the rest for
// every one that a listed spelling loses:
//
//   - A tag that never had more than Most spellings at once is exact.
//   - Else a spelling has been used as often as its row says, or up to rest/9
//     times more; one that is not listed, rest/9 times at most. The first one is
//     the most used for sure if it leads by more than that.
//   - A use that is taken back is taken from its spelling if that is listed,
//     else it is ignored but for the sums, as in Lazy SpaceSaving± (Zhao et al.,
//     VLDB 2022). So each use that is taken back of a tag with more than Most
//     spellings can put a count off by two more, either way, at the very worst.
//
// What a row says depends on the changes and their order, and on nothing else.
package spelling

import "strconv"

// Most is how many spellings of a tag are remembered.
const Most = 8

// names is a list of spellings, each as a netstring: "7:COVID19,7:Covid19,".
type names string

// cut takes the first spelling off. The list must not be empty.
func (l names) cut() (first string, rest names) {
	n, at := 0, 0
	for ; l[at] != ':'; at++ {
		n = 10*n + int(l[at]-'0')
	}
	at++
	return string(l[at : at+n]), l[at+n+1:]
}

// appendName appends a spelling to the bytes of a list.
func appendName[S string | []byte](dst []byte, spelling S) []byte {
	dst = strconv.AppendInt(dst, int64(len(spelling)), 10)
	dst = append(dst, ':')
	dst = append(dst, spelling...)
	return append(dst, ',')
}

// A Change is what is to be added to the uses of one tag. The zero value
// changes nothing. Changes share memory and are never changed themselves.
type Change struct {
	Total int64 // of all spellings

	// The spellings but the key itself, which has what is left of Total.
	listed names
	by     [Most]int64
	rest   int64 // what is listed no more
}

// Use is a change by n uses of a key in a spelling, which is copied.
func Use(key, spelling []byte, n int64) Change {
	c := Change{Total: n}
	if string(spelling) != string(key) {
		c.listed = names(appendName(make([]byte, 0, len(spelling)+len("1024:,")), spelling))
		c.by[0] = n
	}
	return c
}

// Add is the change that a and b are together.
func Add(a, b Change) Change {
	a.Total += b.Total
	a.rest += b.rest
	for i, l := 0, b.listed; l != ""; i++ {
		one := l
		var spelling string
		spelling, l = l.cut()
		if b.by[i] != 0 {
			a.add(spelling, one[:len(one)-len(l)], b.by[i])
		}
	}
	return a
}

// add adds to one spelling; one is the list of it alone.
func (c *Change) add(spelling string, one names, n int64) {
	i := 0
	for l := c.listed; l != ""; i++ {
		var s string
		if s, l = l.cut(); s == spelling {
			c.by[i] += n
			return
		}
	}
	if i == Most {
		c.reduce(spelling, n)
		return
	}
	c.listed += one
	c.by[i] = n
}

// reduce makes Most out of one spelling more: all go towards zero by what the
// least changed of them has, and those that get there leave.
func (c *Change) reduce(spelling string, n int64) {
	all := [Most + 1]entry{{spelling, n}}
	least := abs(n)
	for i, l := 0, c.listed; l != ""; i++ {
		all[i+1].n = c.by[i]
		all[i+1].spelling, l = l.cut()
		least = min(least, abs(c.by[i]))
	}
	c.listed, c.by = "", [Most]int64{}
	left := make([]entry, 0, Most)
	for _, e := range all {
		part := max(-least, min(least, e.n))
		c.rest += part
		if e.n -= part; e.n != 0 {
			left = append(left, e)
		}
	}
	c.listed = names(appendNames(nil, left))
	for i, e := range left {
		c.by[i] = e.n
	}
}

func abs(n int64) int64 { return max(n, -n) }

// An entry is a spelling with its uses.
type entry struct {
	spelling string
	n        int64
}

func appendNames(dst []byte, entries []entry) []byte {
	for _, e := range entries {
		dst = appendName(dst, e.spelling)
	}
	return dst
}
