package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// An access is who may read a part of a timeline. "" is that of a server that
// does not say so: before Mastodon 4.5.
type access string

const (
	public        access = "public"
	authenticated access = "authenticated"
	disabled      access = "disabled"
)

// feeds are the two parts of the public timeline.
type feeds struct {
	Local  access `json:"local"`
	Remote access `json:"remote"`
}

// An instance is what a server says of itself, of what concerns us.
type instance struct {
	Configuration struct {
		URLs struct {
			Streaming string `json:"streaming"`
		} `json:"urls"`
		TimelinesAccess struct {
			LiveFeeds feeds `json:"live_feeds"`
		} `json:"timelines_access"`
	} `json:"configuration"`
}

// instance asks the server what it says of itself. A server that does not know
// the question, from before Mastodon 4.0, says nothing.
func (c *client) instance(ctx context.Context) (instance, error) {
	var in instance
	body, err := c.read(ctx, c.base.JoinPath("api/v2/instance"), maxInstance, nil)
	if errors.Is(err, errNotThere) {
		return in, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return in, fmt.Errorf("ask what it is (/api/v2/instance): %w", err)
	}
	return in, nil
}

const maxInstance = 1 << 20 // bytes

// check returns why the public timeline cannot be read, and else what of it
// will be missing.
func (f feeds) check(token bool) (missing string, err error) {
	closed := func(a access) bool { return a == disabled || a == authenticated && !token }
	switch local, remote := closed(f.Local), closed(f.Remote); {
	case local && remote && f.Local == disabled && f.Remote == disabled:
		return "", &refusal{errors.New("its public timeline is disabled; choose another server")}
	case local && remote:
		return "", &refusal{errors.New("its public timeline is for its users only; give a token of one of them by --token-file")}
	case local:
		return "posts of its own users", nil
	case remote:
		return "posts of other servers", nil
	}
	return "", nil
}

// streaming returns the address of the stream. The server may have another host
// for it, which gets the token too; not without encryption, though, if the
// server itself is spoken to with it.
func (c *client) streaming(in instance) (*url.URL, error) {
	u := c.base
	if text := in.Configuration.URLs.Streaming; text != "" {
		var err error
		if u, err = url.Parse(text); err != nil || u.Host == "" {
			return nil, errors.New("it names no usable address of its stream")
		}
		switch u.Scheme {
		case "wss", "https":
			u.Scheme = "https"
		case "ws", "http":
			u.Scheme = "http"
		default:
			return nil, fmt.Errorf("it streams by %q", u.Scheme)
		}
		if u.Scheme == "http" && c.base.Scheme == "https" {
			return nil, errors.New("it wants the token without encryption")
		}
		u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	}
	return u.JoinPath("api/v1/streaming/public"), nil
}

// read reads a resource of JSON whole, if it has at most so many bytes. The
// pacer, if there is one, is told what the server says of its limits.
func (c *client) read(ctx context.Context, u *url.URL, most int, p *pacer) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errSlow)
	defer cancel()
	resp, err := c.get(ctx, u, "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if p != nil {
		p.heed(resp.Header)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("the answer has more than %d bytes", most)
	}
	return body, err
}

var errSlow = errors.New("the answer takes too long")
