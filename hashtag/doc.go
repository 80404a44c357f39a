// Package hashtag finds hashtags in text and folds one to the key under which it is counted.
//
// A tag is what its author wrote behind the hash sign, without the sign: "COVID19". Its key is what all
// spellings of the tag share: "covid19". The key is
//
//	trim(NFKC(casefold(NFKC(trim(tag)))))
//
// that is, Unicode's compatibility caseless match, without what stands around a tag (see [Trim]): letter case,
// full-width and half-width forms, ligatures and the order of combining marks do not tell two tags apart,
// diacritics do (año is not ano), and so do ZWNJ and ZWJ. A key need not be a hashtag by the scanner's rules (メ～テレ has the key メ~テレ), so keys are never
// validated again; whoever looks one up folds what was typed with [Key] instead.
//
// Which letters exist, and what they fold to, is Unicode 15's say, as in the Go release and x/text that this module
// asks for. A later Unicode changes no key, except of characters that do not exist yet.
//
// Where a network says itself which hashtags a post has, its word counts and nothing is scanned. [Scan] is for
// plain text and follows the rules of twitter-text, the library that decides what X links. The detectors of other
// networks, like [ScanBluesky], are functions of the same shape beside it.
//
// Everything here is safe for concurrent use.
package hashtag
