package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tagtide/tagtide/emitter/archive"
	"github.com/tagtide/tagtide/emitter/mastodon"
	"github.com/tagtide/tagtide/emitter/xstream"
	"github.com/tagtide/tagtide/post"
)

// The kinds of sources: what --source takes.
const (
	kindDemo     = "demo"
	kindFile     = "file"
	kindBluesky  = "bluesky"
	kindMastodon = "mastodon"
	kindX        = "x"
	kindNone     = "none"
)

var (
	sourceNames = []string{kindDemo, kindFile, kindBluesky, kindMastodon, kindX, kindNone}
	// liveNames are the sources that read from a network, without an end.
	liveNames = []string{kindBluesky, kindMastodon, kindX}
)

// sourceFlags say where posts come from.
type sourceFlags struct {
	Source    []string `help:"Where posts come from: demo (made up, no internet needed), file, bluesky, mastodon, x, or none. Repeatable." enum:"${sources}" default:"demo" placeholder:"SOURCE"`
	Input     []string `help:"file: a file or folder of posts, JSON lines or documents, plain or gzip, bzip2, zstd, tar, zip; - is standard input. Repeatable." sep:"none" placeholder:"PATH"`
	Again     bool     `help:"file: read files once more that were read before."`
	Server    []string `help:"mastodon: a server to read from, repeatable. bluesky, x: other ones than the public ones. With several sources: SOURCE=HOST." sep:"none" placeholder:"[SOURCE=]HOST"`
	TokenFile []string `help:"mastodon, x: the file with the token. With several sources: SOURCE=FILE; with several Mastodon servers: HOST=FILE." sep:"none" placeholder:"[SOURCE=]FILE"`
	Track     []string `help:"Only posts with all words of the phrase, or of another --track. Repeatable." sep:"none" placeholder:"PHRASE"`
	Rate      *float64 `help:"demo, file: posts per second (default: demo 20, file as fast as it goes)." placeholder:"N"`
	Posts     int64    `help:"demo: stop after so many." placeholder:"N"`
	Seed      uint64   `help:"demo: the same seed gives the same posts." default:"1"`
}

func (f *sourceFlags) has(kind string) bool { return slices.Contains(f.Source, kind) }

// live are the sources asked for that read from a network.
func (f *sourceFlags) live() (kinds []string) {
	for _, kind := range f.Source {
		if slices.Contains(liveNames, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func (f *sourceFlags) validate(once bool) error {
	for i, kind := range f.Source {
		if slices.Contains(f.Source[:i], kind) {
			return usagef("--source %s is there twice", kind)
		}
	}
	if f.has(kindNone) && len(f.Source) > 1 {
		return usagef("--source none goes with no other --source")
	}
	if err := f.validateMade(once); err != nil {
		return err
	}
	if err := f.validateLive(once); err != nil {
		return err
	}
	if _, err := post.NewTrack(f.Track...); err != nil {
		return usagef("--track: %w", err)
	}
	return nil
}

// validateMade finds what is wrong with the flags of the sources that have
// nothing to do with a network.
func (f *sourceFlags) validateMade(once bool) error {
	asked := strings.Join(f.Source, ", ")
	switch {
	case f.Rate != nil && *f.Rate < 0:
		return usagef("--rate must not be negative")
	case f.Rate != nil && !f.has(kindDemo) && !f.has(kindFile):
		return usagef("--rate goes with --source demo and file, not with %s", asked)
	case f.Posts < 0:
		return usagef("--posts must not be negative")
	case f.has(kindFile) && len(f.Input) == 0:
		return usagef("--source file needs --input PATH")
	case !f.has(kindFile) && (len(f.Input) > 0 || f.Again):
		return usagef("--input and --again go with --source file, not with %s", asked)
	case !f.has(kindDemo) && f.Posts > 0:
		return usagef("--posts goes with --source demo, not with %s", asked)
	case once && f.has(kindDemo) && f.Posts == 0:
		return usagef("--once with --source demo needs --posts N: the demo has no end")
	}
	return nil
}

// validateLive finds what is wrong with the flags of networks.
func (f *sourceFlags) validateLive(once bool) error {
	live := f.live()
	if once && len(live) > 0 {
		return usagef("--once needs sources that end: %s has no end", live[0])
	}
	servers, err := f.servers()
	if err != nil {
		return err
	}
	tokens, err := f.tokenFiles()
	if err != nil {
		return err
	}
	switch {
	case f.has(kindMastodon) && len(servers[kindMastodon]) == 0:
		return usagef("--source mastodon needs --server HOST, such as mastodon.social")
	case len(servers[kindX]) > 1:
		return usagef("--source x takes one --server, not %d", len(servers[kindX]))
	case f.has(kindX) && len(f.Track) == 0:
		return usagef("--source x needs --track PHRASE: X sends, and charges for, what its rules match")
	case f.has(kindX) && tokens[kindX] == "":
		return usagef("--source x needs --token-file FILE, with the app's bearer token")
	case tokens[kindBluesky] != "":
		return usagef("--token-file goes with --source mastodon and x: bluesky needs no token")
	case tokens[kindMastodon] != "" && len(servers[kindMastodon]) > 1:
		return usagef("--token-file with several Mastodon servers: say which one's token it is, --token-file HOST=FILE")
	}
	if f.has(kindX) {
		if err := xstream.ValidateTrack(f.Track); err != nil {
			return usagef("--track with --source x: %w", err)
		}
	}
	return nil
}

// tokenFiles are the values of --token-file by source, or by name of a server of
// Mastodon.
func (f *sourceFlags) tokenFiles() (map[string]string, error) {
	servers, err := f.servers()
	if err != nil {
		return nil, err
	}
	of := map[string]string{}
	for _, value := range f.TokenFile {
		owner, file, named := strings.Cut(value, "=")
		name, err := mastodon.ServerName(owner)
		if owner = name; !named || err != nil || !isNamed(servers[kindMastodon], name) {
			if owner, file, err = f.owner("--token-file", value); err != nil {
				return nil, err
			}
		}
		if file == "" || of[owner] != "" {
			return nil, usagef("--token-file: one file for %s, please", owner)
		}
		of[owner] = file
	}
	return of, nil
}

// owner tells which source a value of --server or --token-file is for: the one
// that it names, else the only one that it can be for.
func (f *sourceFlags) owner(flag, value string) (kind, rest string, err error) {
	live := f.live()
	if name, rest, named := strings.Cut(value, "="); named && slices.Contains(liveNames, name) {
		if !slices.Contains(live, name) {
			return "", "", usagef("%s %s: there is no --source %s", flag, value, name)
		}
		return name, rest, nil
	}
	switch len(live) {
	case 0:
		return "", "", usagef("%s goes with --source %s, not with %s", flag, strings.Join(liveNames, ", "), strings.Join(f.Source, ", "))
	case 1:
		return live[0], value, nil
	}
	return "", "", usagef("%s %s: with several sources, say for which one it is: %s SOURCE=%s", flag, value, flag, value)
}

// readable tells at once of files that cannot be read at all, before anything
// is begun. What is found while reading is told at the end.
func (f *sourceFlags) readable() error {
	for _, path := range f.Input {
		if path == archive.Stdin {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--input: %w", err)
		}
	}
	_, err := f.tokens()
	return err
}

// tokens reads the files with tokens. No error quotes what is in them.
func (f *sourceFlags) tokens() (map[string]string, error) {
	files, err := f.tokenFiles()
	if err != nil {
		return nil, err
	}
	tokens := map[string]string{}
	for owner, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		token := strings.TrimSpace(string(data))
		if token == "" || strings.ContainsAny(token, " \t\r\n") {
			return nil, errors.New("--token-file: " + file + " does not hold one token and nothing else")
		}
		tokens[owner] = token
	}
	return tokens, nil
}

// rate is the pace of a source in posts per second; 0 is as fast as it goes.
func (f *sourceFlags) rate(kind string) float64 {
	switch {
	case slices.Contains(liveNames, kind):
		return 0
	case f.Rate != nil:
		return *f.Rate
	case kind == kindDemo:
		return 20
	}
	return 0
}
