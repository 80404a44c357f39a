package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// net/http answers what it cannot read as a request, such as a path with a
// broken percent-encoding, by itself: as plain text and past every handler.
// A listener of ours makes problems of these answers too, and touches no other.

type problemListener struct{ net.Listener }

func (l problemListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return problemConn{c}, nil
}

type problemConn struct{ net.Conn }

// ownHeader is all that follows the status line of such an answer, which is
// written at once. Our own answers always have more.
const ownHeader = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// Write implements net.Conn.
func (c problemConn) Write(p []byte) (int, error) {
	line, rest, _ := bytes.Cut(p, []byte("\r\n"))
	detail, own := bytes.CutPrefix(rest, []byte(ownHeader))
	var status int
	if !own {
		return c.Conn.Write(p)
	}
	if _, err := fmt.Sscanf(string(line), "HTTP/1.1 %d ", &status); err != nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(malformed(status, string(detail))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func malformed(status int, detail string) []byte {
	text := http.StatusText(status)
	p := newProblem(status, "malformed-request", "Malformed request",
		"the request cannot be read: "+strings.TrimPrefix(detail, fmt.Sprintf("%d %s: ", status, text)))
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is our own plain struct
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, text, len(body), body)
}
