package hashtag

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// oracle is Scan said a second time, slowly: in regular expressions after twitter-text's, matched one behind the
// other over the whole text, and then sorted out by place. Go's expressions look neither ahead nor behind, so
// what follows a TLD is taken into the match and given back.
type oracle struct {
	tag, tagBehind, link, linkBehind, latin *regexp.Regexp
	port, path, query, shortLink            *regexp.Regexp
}

const (
	alphaClass   = `\p{L}\p{M}`
	joinerClass  = `_\x{200C}\x{200D}\x{A67E}\x{5BE}\x{5F3}\x{5F4}\x{FF5E}\x{301C}\x{309B}\x{309C}\x{30A0}\x{30FB}\x{3003}\x{F0B}\x{F0C}\x{B7}`
	numberClass  = `\p{Nd}` + joinerClass
	latinClass   = `\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{24F}\x{253}\x{254}\x{256}\x{257}\x{259}\x{25B}\x{263}\x{268}\x{26F}\x{272}\x{289}\x{28B}\x{2BB}\x{300}-\x{36F}\x{1E00}-\x{1EFF}`
	invalidClass = `\x{FFFE}\x{FEFF}\x{FFFF}\x{202A}-\x{202E}`
	spaceClass   = `\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}`
	punctClass   = `!'#%&'()*+,\\\-./:;<=>?@\[\]^_{|}~$`
	labelRune    = `[^` + punctClass + spaceClass + invalidClass + `]`
	pathRune     = `[a-zA-Z\x{400}-\x{4FF}0-9!*';:=+,.$/%#\[\]\-\x{2013}_~@|&` + latinClass + `]`
	brackets     = `\((?:` + pathRune + `+|` + pathRune + `*\(` + pathRune + `+\)` + pathRune + `*)\)`
	pathEnding   = `(?:[+\-a-zA-Z\x{400}-\x{4FF}0-9=_#/` + latinClass + `]|` + brackets + `)`
	pathPart     = `(?:` + pathRune + `*(?:` + brackets + pathRune + `*)*` + pathEnding + `|@` + pathRune + `+/)`
	protocolPart = `(?:[hH][tT][tT][pP][sS]?://)`
)

func newOracle() *oracle {
	subdomain := `(?:(?:` + labelRune + `(?:[_-]|` + labelRune + `)*)?` + labelRune + `\.)`
	domainName := `(?:(?:` + labelRune + `(?:-|` + labelRune + `)*)?` + labelRune + `\.)`
	tld := `(?:(?P<tld>` + tldPattern() + `)(?:[^0-9a-zA-Z@]|$)|(?P<tld>[xX][nN]--[\-0-9a-zA-Z]+))`
	url := `(?P<protocol>` + protocolPart + `)?(?P<domain>` + subdomain + `*` + domainName + tld + `)`
	before := `[^A-Za-z0-9@＠$#＃` + invalidClass + `]`
	tag := `(?P<tag>[#＃][` + numberClass + `]*[` + alphaClass + `][` + alphaClass + numberClass + `]*)`
	boundary := `\x{FE0E}|\x{FE0F}|[^` + alphaClass + numberClass + `&]`
	return &oracle{
		tag:        regexp.MustCompile(`(?:` + boundary + `|^)` + tag),
		tagBehind:  regexp.MustCompile(`(?:` + boundary + `)` + tag),
		link:       regexp.MustCompile(`(?P<before>` + before + `|^)` + url),
		linkBehind: regexp.MustCompile(`(?P<before>` + before + `)` + url),
		latin:      regexp.MustCompile(`(?:[\-a-zA-Z0-9` + latinClass + `]+\.)+` + tld),
		port:       regexp.MustCompile(`^:[0-9]+`),
		path:       regexp.MustCompile(`^/` + pathPart + `*`),
		query:      regexp.MustCompile(`^\?[a-zA-Z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-zA-Z0-9\-_&=#/]`),
		shortLink:  regexp.MustCompile(`^[hH][tT][tT][pP][sS]?://[tT]\.[cC][oO]/([a-zA-Z0-9]+)`),
	}
}

// tldPattern is an alternative of all TLDs, the longest of those that begin alike first.
func tldPattern() string {
	names := slices.Clone(tlds[:])
	slices.Sort(names)
	slices.Reverse(names)
	for i, name := range names {
		var b strings.Builder
		for _, r := range name {
			b.WriteString("[" + string(r) + string(unicode.ToUpper(r)) + "]")
		}
		names[i] = b.String()
	}
	return strings.Join(names, "|")
}

// named is the place of a named group in a match; of groups of the same name, the one that took part.
func named(re *regexp.Regexp, match []int, name string) span {
	for i, n := range re.SubexpNames() {
		if n == name && match[2*i] >= 0 {
			return span{match[2*i], match[2*i+1]}
		}
	}
	return span{-1, -1}
}

type entity struct {
	span
	tag bool
}

func (o *oracle) scan(text string) []string {
	entities := append(o.tags(text), o.links(text)...)
	slices.SortStableFunc(entities, func(a, b entity) int { return a.start - b.start })
	found, end := []string{}, 0
	for _, e := range entities {
		if e.start < end {
			continue
		}
		end = e.end
		if e.tag {
			found = append(found, strings.TrimPrefix(strings.TrimPrefix(text[e.start:e.end], "#"), "＃"))
		}
	}
	return found
}

func (o *oracle) tags(text string) (found []entity) {
	for last := 0; ; {
		re := o.tagBehind
		if last == 0 {
			re = o.tag
		}
		match := re.FindStringSubmatchIndex(text[last:])
		if match == nil {
			return found
		}
		place := named(re, match, "tag")
		place.start, place.end = last+place.start, last+place.end
		_, sign := utf8.DecodeRuneInString(text[place.start:])
		behind, name := text[place.end:], text[place.start+sign:]
		if strings.HasPrefix(name, "\uFE0F") || strings.HasPrefix(name, "\u20E3") {
			last = place.start + sign
			continue
		}
		last = place.end
		if !strings.HasPrefix(behind, "#") && !strings.HasPrefix(behind, "＃") && !strings.HasPrefix(behind, "://") {
			found = append(found, entity{place, true})
		}
	}
}

func (o *oracle) links(text string) (found []entity) {
	for last := 0; ; {
		re := o.linkBehind
		if last == 0 {
			re = o.link
		}
		match := re.FindStringSubmatchIndex(text[last:])
		if match == nil {
			return found
		}
		before, protocol := named(re, match, "before"), named(re, match, "protocol")
		domain := span{last + named(re, match, "domain").start, last + named(re, match, "tld").end}
		path := domain.end + len(o.port.FindString(text[domain.end:]))
		query := path + len(o.path.FindString(text[path:]))
		end := query + len(o.query.FindString(text[query:]))
		if protocol.start >= 0 {
			found = append(found, o.withProtocol(text, span{last + protocol.start, end}, domain)...)
		} else if prec := text[last+before.start : last+before.end]; prec == "" || !strings.Contains("-_./", prec) {
			found = append(found, o.withoutProtocol(text, domain, path, query, end)...)
		}
		last = end
	}
}

func (o *oracle) withProtocol(text string, link, domain span) []entity {
	if !o.valid(text, link, domain) {
		return nil
	}
	if m := o.shortLink.FindStringSubmatchIndex(text[link.start:link.end]); m != nil {
		if m[3]-m[2] > 40 {
			return nil
		}
		link.end = link.start + m[1]
	}
	return []entity{{link, false}}
}

func (o *oracle) withoutProtocol(text string, domain span, path, query, end int) (found []entity) {
	if !o.valid(text, span{domain.start, end}, domain) {
		return nil
	}
	name := text[domain.start:domain.end]
	for from := 0; ; {
		match := o.latin.FindStringSubmatchIndex(name[from:])
		if match == nil {
			break
		}
		place := span{domain.start + from + match[0], domain.start + from + named(o.latin, match, "tld").end}
		found = append(found, entity{place, false})
		from = place.end - domain.start
	}
	if len(found) > 0 && query > path {
		found[len(found)-1].end = end
	}
	return found
}

func (o *oracle) valid(text string, link, domain span) bool {
	name := text[domain.start:domain.end]
	if strings.HasPrefix(name, "xn--") && !o.latin.MatchString(name) {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if wireLen([]byte(label)) > maxLabel {
			return false
		}
	}
	return utf8.RuneCountInString(text[link.start:link.end]) <= maxLinkRunes
}

// holding are the links that hold a hash sign, the only ones that both sides know.
func holding(text string, links []entity) (found []span) {
	for _, link := range links {
		if strings.ContainsAny(text[link.start:link.end], "#") {
			found = append(found, link.span)
		}
	}
	return found
}

func foundLinks(text string) (found []entity) {
	f := linkFinder{text: []byte(text)}
	for link, more := f.next(); more; link, more = f.next() {
		found = append(found, entity{link, false})
	}
	return found
}

// words are what random texts are made of: every character class and turn of the grammar has one. Of URLs there
// are many, in parts that can be drawn one from each row.
var (
	words = strings.Fields(`# # ＃ #a #1 #1b a 1 _ - . / ( ) ? = & @ ＠ $ : :// http:// 日本 é ! , " ~ 。 ・ 〃 ア क् ا xn--a ` +
		"\u200c \ufe0f \ufe0e \u20e3 \u202a \ufeff \u0301 \xff \u3000 😀 \u00b7 K İ")
	urls = [][]string{
		{"", "", " ", "a", "-", "_", "/", "@", "#", "日", "x.de/", "x.de"},
		{"", "", "http://", "https://", "HTTPS://", "xhttp://"},
		{"", "", "a.", "a_b.", "a-.", "-a.", "_.", "日本.", "é.", "a..", "xn--a.", "a_-b.", "a_b.com.", "\"."},
		{"a", "b_c", "_b", "b_", "日本", "日本b", "日。本", "ü", "t", "xn--a", "xn--日", "日_-b", strings.Repeat("a", 64),
			strings.Repeat("日", 19), strings.Repeat("日", 70), "日", strings.Repeat("日é", 12)},
		{".com", ".de", ".co", ".CO", ".рф", ".РФ", ".中国", ".nosuch", ".xn--a", ".deです", ".com@", ".com日.de", ".sKy", ".", ""},
		{"", "", ":80", ":"},
		{"", "/", "/", "/a", "/abc/", "/(a)", "/(a", "/(a(b))", "/(a(b)(c))", "/a.", "/日", "/@a", "/" + strings.Repeat("a", 41)},
		{"", "", "", "?", "?a=", "?a.", "?日"},
		{"", "#a", "/#a", "#a.b", " #a", "#日x.com/#b", ".#a", "_b.com/#c"},
	}
)

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(4) {
		for range r.IntN(4) {
			b.WriteString(words[r.IntN(len(words))])
		}
		if r.IntN(3) == 0 {
			continue
		}
		for _, parts := range urls {
			b.WriteString(parts[r.IntN(len(parts))])
		}
	}
	return b.String()
}

func (o *oracle) check(t *testing.T, text string) {
	t.Helper()
	if got, want := scanned(text), o.scan(text); !slices.Equal(got, want) {
		t.Fatalf("%q has %q, want %q", text, got, want)
	}
	if got, want := holding(text, foundLinks(text)), holding(text, o.links(text)); !slices.Equal(got, want) {
		t.Fatalf("%q has links at %v, want %v", text, got, want)
	}
}

func TestScanAgreesWithRegularExpressions(t *testing.T) {
	o := newOracle()
	for _, c := range readCases(t, "testdata/hashtag-conformance.jsonl") {
		if got := o.scan(c.Text); c.Valid == nil && !slices.Equal(got, c.Expected) {
			t.Errorf("the oracle is wrong: %q has %q, want %q", c.Text, got, c.Expected)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 4_000 {
		o.check(t, randomText(r))
	}
}

func FuzzScan(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		f.Add(randomText(r))
	}
	o := newOracle()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 500 {
			o.check(t, text)
		}
	})
}
