package bluesky

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cursorName is what the source's cursor goes by.
const cursorName = "bluesky"

// A place is behind an event: Unix microseconds, by the clock of the server
// that sent it.
type place struct {
	time   int64
	server string // its name; empty: our own clock
}

// parsePlace parses what append wrote.
func parsePlace(value []byte) (place, error) {
	digits, server, _ := strings.Cut(string(value), " ")
	time, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || time < 0 {
		return place{}, fmt.Errorf("cursor %s: %q is no place", cursorName, value)
	}
	return place{time, server}, nil
}

func (p place) append(dst []byte) []byte {
	dst = strconv.AppendInt(dst, p.time, 10)
	if p.server != "" {
		dst = append(append(dst, ' '), p.server...)
	}
	return dst
}

// behind returns the place behind an event that a server sent. As long as a
// server repeats what is before p, the place stays p, which another server may
// have told: only behind it the new one has sent everything.
func (p place) behind(event int64, server string, now time.Time) place {
	// Nobody's clock takes us into the future: servers begin there with what
	// comes next, whatever was before.
	event = min(event, now.UnixMicro())
	if event < p.time {
		return p
	}
	return place{event, server}
}

func (p place) date() time.Time { return time.UnixMicro(p.time).UTC() }
