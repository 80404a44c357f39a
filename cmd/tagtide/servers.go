package main

import (
	"slices"
	"strings"

	"github.com/tagtide/tagtide/emitter/bluesky"
	"github.com/tagtide/tagtide/emitter/mastodon"
	"github.com/tagtide/tagtide/emitter/xstream"
)

// A server is one that --server names.
type server struct {
	name    string // by which it is told from others, however its address is spelled
	address string // as it was given
}

// serverNames make the name of a server of an address.
var serverNames = map[string]func(address string) (string, error){
	kindBluesky: bluesky.ServerName, kindMastodon: mastodon.ServerName, kindX: xstream.ServerName,
}

// servers are the values of --server by source.
func (f *sourceFlags) servers() (map[string][]server, error) {
	of := map[string][]server{}
	for _, value := range f.Server {
		kind, address, err := f.owner("--server", value)
		if err != nil {
			return nil, err
		}
		name, err := serverNames[kind](address)
		if err != nil {
			return nil, usagef("--server %s: %w", withoutUser(value), err)
		}
		if isNamed(of[kind], name) {
			return nil, usagef("--server %s: %s is there twice", withoutUser(value), name)
		}
		of[kind] = append(of[kind], server{name, address})
	}
	return of, nil
}

func isNamed(servers []server, name string) bool {
	return slices.ContainsFunc(servers, func(s server) bool { return s.name == name })
}

func addresses(servers []server) (all []string) {
	for _, s := range servers {
		all = append(all, s.address)
	}
	return all
}

// withoutUser is a value of --server without the user and password in it.
func withoutUser(value string) string {
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		return "…" + value[at:]
	}
	return value
}
