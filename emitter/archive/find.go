package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// An input is one thing to be read.
type input struct {
	path  string
	size  int64
	piped bool // it can be read once only
}

// find lists what is to be read. A given path that is not there is an error at
// once; failed has what could not be looked at in folders.
func (s *Source) find() (inputs []input, failed []error, err error) {
	var missing []error
	add := func(in input) {
		if !slices.ContainsFunc(inputs, func(i input) bool { return i.path == in.path }) {
			inputs = append(inputs, in)
			s.total.Add(in.size)
		}
	}
	for _, path := range s.o.Paths {
		if path == Stdin {
			add(input{path: Stdin, piped: true})
			continue
		}
		path = filepath.Clean(path)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			missing = append(missing, err)
		case info.IsDir():
			found, bad := s.walkFolder(path, add)
			failed = append(failed, bad...)
			if found+len(bad) == 0 {
				missing = append(missing, fmt.Errorf("folder %s has no files named *.json, *.jsonl, *.ndjson, *.sse, *.tar or *.zip, packed or not", path))
			}
		default:
			add(inputOf(path, info))
		}
	}
	return inputs, failed, errors.Join(missing...)
}

func inputOf(path string, info fs.FileInfo) input {
	if !info.Mode().IsRegular() {
		return input{path: path, piped: true}
	}
	return input{path: path, size: info.Size()}
}

// walkFolder adds the files of a folder in the order of their paths.
func (s *Source) walkFolder(root string, add func(input)) (found int, failed []error) {
	// The function given to WalkDir returns nothing but fs.SkipDir.
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && path != root
		switch {
		case err != nil:
			failed = append(failed, err)
			if entry.IsDir() {
				return fs.SkipDir
			}
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir():
		case !isLines(entry.Name()) && !isArchive(entry.Name()):
			s.o.Logger.Warn("not reading a file: its name does not say that there are posts in it", "file", path)
		default:
			if info, err := os.Stat(path); err != nil { // follows links
				failed = append(failed, err)
			} else if info.Mode().IsRegular() {
				add(inputOf(path, info))
				found++
			}
		}
		return nil
	})
	return found, failed
}

// isArchive tells whether a file's name promises an archive of files.
func isArchive(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains([]string{".tar", ".tgz", ".zip"}, filepath.Ext(name)) ||
		slices.Contains(packers, filepath.Ext(name)) && filepath.Ext(strings.TrimSuffix(name, filepath.Ext(name))) == ".tar"
}

// isLines tells whether a file's name promises posts.
func isLines(name string) bool {
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	if slices.Contains(packers, ext) {
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	return slices.Contains([]string{".json", ".jsonl", ".ndjson", ".sse"}, ext)
}

// packers are the endings that they put behind a name.
var packers = []string{".gz", ".bz2", ".zst", ".zstd"}
