package post

// Append appends the canonical form of p to dst and returns the extended slice. Text is left out. Decoding it
// gives an equal post. Nothing is kept. Bytes that are not UTF-8 become U+FFFD.
func Append(dst []byte, p *Post) []byte { return dst }

// AppendSkipped appends the notice that n posts, n ≥ 1, were left out for reason ("track", "reposts").
func AppendSkipped(dst []byte, n int64, reason string) []byte { return dst }
