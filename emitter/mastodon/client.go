package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// A refusal is what only a person can mend. Run ends with it.
type refusal struct{ error }

// A limited says that there were too many requests.
type limited struct {
	error
	wait time.Duration // until there may be more; 0: unknown
}

// A client speaks HTTP with one server.
type client struct {
	http    *http.Client
	base    *url.URL // scheme and host
	token   string
	agent   string
	timeout time.Duration // of a request with its answer; of a stream, until the answer begins
}

// ServerName returns the name of a server, by which its cursor goes: its host,
// the same however [Options.Server] is spelled. An error says what is wrong with
// it, without quoting it.
func ServerName(server string) (string, error) {
	u, err := parseServer(server)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// parseServer returns the scheme and host of a server, which may be written
// without the scheme. Without, it is https; on this machine, http.
func parseServer(server string) (*url.URL, error) {
	u, err := live.ParseServer(server, "https")
	if err == nil && !strings.Contains(server, "://") && loopback(u.Hostname()) {
		u, err = live.ParseServer(server, "http")
	}
	switch {
	case err != nil:
		return nil, err
	case u.User != nil || u.Path != "":
		return nil, errors.New("no name of a server: give nothing but its host, mastodon.social or https://mastodon.social, say")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("servers of Mastodon speak https, not %s", u.Scheme)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// loopback tells whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// newTransport returns the transport of a client. Nothing in it limits how long
// an answer may go on: streams do not end.
func newTransport(timeout time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}).DialContext
	t.TLSHandshakeTimeout = timeout
	t.ResponseHeaderTimeout = timeout
	return t
}

// sameHost refuses redirects to where the token does not belong.
func sameHost(req *http.Request, via []*http.Request) error {
	if from := via[0].URL; req.URL.Host != from.Host || req.URL.Scheme != from.Scheme {
		return fmt.Errorf("it sends us to %s; if that is the server, name it", req.URL.Host)
	}
	if len(via) > 5 {
		return errors.New("it sends us from one place to the next")
	}
	return nil
}

// get asks for a resource and returns an answer of status 200. Whoever called
// closes its body. The context ends the body too.
func (c *client) get(ctx context.Context, u *url.URL, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	if err := c.check(resp, accept); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// plain is what went wrong, without the address.
func plain(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// check returns why an answer is not what was asked for.
func (c *client) check(resp *http.Response, accept string) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK {
		if kind != accept {
			return fmt.Errorf("it answered with %q instead of %s", kind, accept)
		}
		return nil
	}
	said := ""
	if kind == "application/json" {
		said = saying(resp.Body)
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		return &limited{errors.New("too many requests (429)"), waitFor(resp.Header, time.Now())}
	case status == http.StatusUnauthorized, said != "" && (status == http.StatusForbidden || status == http.StatusUnprocessableEntity):
		return &refusal{fmt.Errorf("it refuses us (%d%s): %s", status, said, c.remedy())}
	case status == http.StatusNotFound || status == http.StatusGone:
		return fmt.Errorf("%w (%d)", errNotThere, status)
	default:
		return fmt.Errorf("it answered %d%s", status, said)
	}
}

// errNotThere says that a server has no such resource.
var errNotThere = errors.New("it knows no such thing; is it a Mastodon server?")

// remedy says what to do about a server that does not let us in.
func (c *client) remedy() string {
	if c.token == "" {
		return "it wants a token of one of its users; make one in its settings, under Development, with the scope read:statuses, and give it by --token-file"
	}
	return "the token is wrong, revoked, or of no user; make a new one in the server's settings, under Development, with the scope read:statuses"
}

// saying returns what a server says of an error, in a form to follow a status.
func saying(body io.Reader) string {
	const enough = 4 << 10
	var e struct {
		Error string `json:"error"`
	}
	data, _ := io.ReadAll(io.LimitReader(body, enough))
	if json.Unmarshal(data, &e) != nil || e.Error == "" {
		return ""
	}
	if len(e.Error) > 200 {
		e.Error = e.Error[:200]
	}
	return fmt.Sprintf(", %q", e.Error)
}
