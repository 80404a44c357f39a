package live

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Why a text is no address of a server. They do not quote it: there may be a
// password in it.
var (
	errNoServer   = errors.New("no name of a server: give its host, such as social.example, or its address, such as https://social.example")
	errParameters = errors.New("no name of a server: behind its address stand parameters (?) or a fragment (#)")
)

// ParseServer parses the address of a server, or only its host, which is then
// one by scheme. However it is spelled, the URL of one server is the same: its
// host is in lower case, has no dot at its end and no port that goes without
// saying, and its path has no slash at its end. Which schemes and paths there
// can be, and whether a user, is the caller's to say.
func ParseServer(text, scheme string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = scheme + "://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errNoServer
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errParameters
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	if !isHost(host) || !isPort(port) {
		return nil, errNoServer
	}
	u.Host, u.Path = join(host, port, u.Scheme), strings.TrimRight(u.Path, "/")
	return u, nil
}

// isHost tells whether a host can have that name. Those of other scripts are
// left to who looks them up.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
		}) {
			return false
		}
	}
	return true
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// join is host and port as they stand in a URL.
func join(host, port, scheme string) string {
	usual := map[string]string{"https": "443", "wss": "443", "http": "80", "ws": "80"}
	if port != "" && port != usual[scheme] {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
