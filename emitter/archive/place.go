package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

const (
	// cursorPrefix begins the names of the cursors of files:
	//
	//	file/<hash of the first n bytes>-<n>      and  .2, .3 …  for different
	//	                                          files that begin alike
	cursorPrefix = "file/"
	// headSize is how much of a file's beginning makes its identity.
	headSize = 64 << 10
	// checkSize is how much of the last line, and of a finished file's end, is
	// compared before it is believed that a file is the same.
	checkSize = 4 << 10
)

// A place is how far a file was read: the value of its cursor.
type place struct {
	File   string `json:"file"`             // path it had, for people
	Head   int    `json:"head"`             // bytes that the cursor's name is the hash of
	Member string `json:"member,omitempty"` // of an archive, that it is in
	At     int64  `json:"at,omitempty"`     // where that is: tar: its header's first byte; zip: its place in the directory
	Lost   int64  `json:"lost,omitempty"`   // members before it that could not be read to their end
	Offset int64  `json:"offset"`           // unpacked bytes, of the member, before the next value
	Line   int64  `json:"line"`             // lines that end before it
	Array  bool   `json:"array,omitempty"`  // the values are elements of one
	From   int64  `json:"from"`             // where the last value that was read begins
	Length int    `json:"length,omitempty"` // of its part that is checked
	Check  string `json:"check,omitempty"`  // the hash of that
	Size   int64  `json:"size,omitempty"`   // finished: bytes on disk
	Tail   string `json:"tail,omitempty"`   // finished: the hash of the last of them

	name    string // of the cursor
	current bool   // made in this run
}

// again is the same place in a file that has another path now, and more in it.
func (p place) again(path string) place {
	p.File, p.Size, p.Tail = path, 0, ""
	return p
}

// where names the file, and the member if it has some.
func (p place) where() string {
	if p.Member == "" {
		return p.File
	}
	return p.File + "/" + p.Member
}

// enter is the place before a member's first line.
func (p place) enter(m *member) place {
	return place{File: p.File, Head: p.Head, Lost: p.Lost, Member: m.name, At: m.at, name: p.name}
}

// restart is the place before the first line.
func (p place) restart(path string) place {
	return place{File: path, Head: p.Head, name: p.name}
}

// behind moves the place behind the n-th value of a chunk.
func (p place) behind(c *chunk, n int) place {
	v := &c.values[n-1]
	check := v.data[:min(len(v.data), checkSize)]
	p.Offset, p.Line, p.Array = v.end, v.lines, c.array
	p.From, p.Length, p.Check = v.start, len(check), sum(check)
	return p
}

// finish marks the file, which had so many bytes, as read to its end.
func (p *place) finish(f *os.File, size int64) (err error) {
	p.Size = size
	p.Tail, err = tail(f, p.Size)
	p.current = true
	return err
}

// finished tells whether f is the file that was read to this place, its end.
func (p place) finished(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || p.Tail == "" || info.Size() != p.Size {
		return false, err
	}
	t, err := tail(f, p.Size)
	return t == p.Tail, err
}

// value is the cursor.
func (p place) value() []byte {
	data, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("archive: a place of strings and numbers does not encode: %v", err))
	}
	return data
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:12])
}

// tail hashes the last bytes of a file of that size.
func tail(f *os.File, size int64) (string, error) {
	buf := make([]byte, min(size, checkSize))
	if err := readAt(f, buf, size-int64(len(buf))); err != nil {
		return "", err
	}
	return sum(buf), nil
}

// readAt fills buf.
func readAt(f *os.File, buf []byte, at int64) error {
	n, err := f.ReadAt(buf, at)
	if n == len(buf) {
		return nil
	}
	return cmp.Or(err, io.ErrUnexpectedEOF)
}

// An identity is a file's beginning.
type identity struct{ head []byte }

func identify(f *os.File) (identity, error) {
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return identity{}, err
	}
	return identity{head[:n]}, nil
}

// known are the places in files that were read before, by name of the cursor.
type known map[string]place

// parseKnown reads cursors. One that cannot be read is ignored: its file will
// be read from its start under another name.
func parseKnown(cursors map[string][]byte) known {
	k := known{}
	for name, value := range cursors {
		p := place{name: name}
		decoder := json.NewDecoder(bytes.NewReader(value))
		if err := decoder.Decode(&p); err == nil && p.valid() {
			k[name] = p
		} else {
			k[name] = place{name: name}
		}
	}
	return k
}

func (p *place) valid() bool {
	return 0 < p.Head && p.Head <= headSize && 0 <= p.Line && 0 <= p.From &&
		0 <= p.At && 0 <= p.Lost && 0 <= p.Length && p.Length <= checkSize && p.From <= p.Offset-int64(p.Length)
}

func (k known) add(p place) { k[p.name] = p }

// matches returns the places in files that begin as this one does, the
// farthest first.
func (k known) matches(id identity) []place {
	sums := map[int]string{} // by length
	var found []place
	for name, p := range k {
		if p.Head == 0 || p.Head > len(id.head) {
			continue
		}
		if _, ok := sums[p.Head]; !ok {
			sums[p.Head] = cursorName(id.head[:p.Head], 1)
		}
		if base := sums[p.Head]; name == base || len(name) > len(base) && name[:len(base)+1] == base+"." {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.Offset, a.Offset), cmp.Compare(a.name, b.name))
	})
	return found
}

// place is the start of a file that is new.
func (k known) place(id identity, path string) place {
	for n := 1; ; n++ {
		name := cursorName(id.head, n)
		if _, taken := k[name]; !taken {
			return place{File: path, Head: len(id.head), name: name}
		}
	}
}

// cursorName names the n-th file with that beginning.
func cursorName(head []byte, n int) string {
	name := cursorPrefix + sum(head) + "-" + strconv.Itoa(len(head))
	if n > 1 {
		name += "." + strconv.Itoa(n)
	}
	return name
}
