package xstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// A client speaks with one server of X's API as one app.
type client struct {
	http    *http.Client
	server  string // base URL without a slash at its end
	token   string // Invariant: it is in no error and in no log
	agent   string
	timeout time.Duration // of calls
}

const (
	streamPath = "/2/tweets/search/stream"
	rulesPath  = "/2/tweets/search/stream/rules"
)

// newHTTP makes a client that uses each connection once. So no request waits on
// a connection that died unnoticed, and each asks the DNS where X is now.
func newHTTP() *http.Client {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
			TLSHandshakeTimeout: 15 * time.Second, DisableKeepAlives: true, Protocols: &http1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ServerName returns the base URL of a server, the same however
// [Options.Server] is spelled. An error says what is wrong with it, without
// quoting it.
func ServerName(server string) (string, error) {
	u, err := live.ParseServer(server, "https")
	switch {
	case err != nil:
		return "", fmt.Errorf("server of X's API: %w", err)
	case u.User != nil:
		return "", fmt.Errorf("server of X's API: %s, say, without a user", DefaultServer)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("server of X's API: it speaks https, not %s", u.Scheme)
	}
	return u.String(), nil
}

// call asks for JSON and decodes the answer, leniently. An error is a *failure.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %v", c.timeout))
	defer cancel()
	resp, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	const most = 8 << 20 // a thousand rules are a quarter of it
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("the answer has more than %d bytes", most)
	}
	if err != nil {
		return c.broken(method, path, cause(ctx, err))
	}
	if !json.Valid(data) {
		return &failure{remedy: later, err: fmt.Errorf("%s %s%s: the answer is not JSON", method, c.server, path)}
	}
	lenient(data, into)
	return nil
}

// open asks for the stream. Its body ends with ctx.
func (c *client) open(ctx context.Context, query url.Values) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, streamPath, query, nil)
}

// do sends a request and returns the answer, if it is a good one. An error is a
// *failure.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, &failure{remedy: hopeless, err: fmt.Errorf("%s %s: %w", method, path, err)}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(method, path, cause(ctx, err))
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	said = bytes.ReplaceAll(said, []byte(c.token), []byte("(the token)"))
	return nil, fail(method+" "+c.server+path, resp.StatusCode, resp.Header, said)
}

func (c *client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	address := c.server + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", c.agent)
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// broken makes a failure of what the network did.
func (c *client) broken(method, path string, err error) *failure {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // it names the URL with all its parameters
	}
	return &failure{remedy: network, err: fmt.Errorf("%s %s%s: %w", method, c.server, path, err)}
}

// cause is why ctx ended, if that is what an error is about.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
