package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tagtide/tagtide/internal/ranking"
)

// maxLimit is the largest page a request may ask for.
const maxLimit = 1000

// params are the query parameters of one request. Reading one notes what is
// wrong with it and goes on, so that an answer names every fault at once;
// check ends the reading.
type params struct {
	values map[string]string
	faults []fault
}

// readParams splits a raw query. A parameter outside allowed, a repeated one,
// or one that is no percent-encoded UTF-8 is a fault. A semicolon is data.
func readParams(raw string, allowed ...string) *params {
	p := &params{values: map[string]string{}}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := unescape(rawName)
		if !ok {
			p.fault(printable(rawName), "", "the name of parameter %q is no percent-encoded UTF-8", rawName)
			continue
		}
		p.add(name, rawValue, allowed)
	}
	return p
}

func (p *params) add(name, rawValue string, allowed []string) {
	value, ok := unescape(rawValue)
	_, repeated := p.values[name]
	switch {
	case !slices.Contains(allowed, name):
		p.fault(name, "", "unknown parameter %q (known here: %s)", name, strings.Join(allowed, ", "))
	case repeated:
		p.fault(name, printable(rawValue), "%s is given more than once", name)
	case !ok:
		p.fault(name, printable(rawValue), "%s is no percent-encoded UTF-8", name)
	default:
		p.values[name] = value
	}
}

func (p *params) fault(name, value, format string, args ...any) {
	p.faults = append(p.faults, fault{Parameter: name, Value: value, Detail: fmt.Sprintf(format, args...)})
}

// check returns the problem with all faults met so far, nil if there is none.
func (p *params) check() error {
	if len(p.faults) > 0 {
		return invalid(p.faults)
	}
	return nil
}

func (p *params) limit(missing int) int {
	value, given := p.values["limit"]
	if !given {
		return missing
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n < 1 || n > maxLimit {
		p.fault("limit", value, "limit must be a whole number from 1 to %d, not %q", maxLimit, value)
		return missing
	}
	return int(n)
}

func (p *params) allowStale() bool {
	value, given := p.values["allow_stale"]
	if given && value != "true" && value != "false" {
		p.fault("allow_stale", value, "allow_stale must be true or false, not %q", value)
	}
	return value == "true"
}

// cursor returns the place to go on behind; nil, the start, if it is missing
// or empty.
func (p *params) cursor() *ranking.Key {
	value := p.values["cursor"]
	if value == "" {
		return nil
	}
	key, err := parseCursor(value)
	if err != nil {
		p.fault("cursor", value, "cursor must be the next_cursor of an earlier answer: %v", err)
		return nil
	}
	return &key
}

func (p *params) oneOf(name string, choices ...string) string {
	value, given := p.values[name]
	if !given {
		return choices[0]
	}
	if !slices.Contains(choices, value) {
		p.fault(name, value, "%s must be %s, not %q", name, strings.Join(choices, " or "), value)
	}
	return value
}

func unescape(s string) (string, bool) {
	plain, err := url.QueryUnescape(s)
	return plain, err == nil && utf8.ValidString(plain)
}

// printable makes a raw, possibly broken piece of a URL fit for JSON.
func printable(raw string) string { return strings.ToValidUTF8(raw, "\uFFFD") }
