package hashtag

import "iter"

// Scan yields the hashtags of text in order, each without its hash sign, as X would link them. The slices are
// parts of text. Nothing is allocated. Text that is not UTF-8 is scanned all the same: a stray byte belongs to
// no tag.
func Scan(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {}
}
