package table

// An arena hands out pieces of large chunks of memory, all of which end together.
type arena struct {
	chunks [][]byte // each empty, with its room; those before at are used up
	at     int
	free   []byte // what is left of chunks[at]
	used   int    // bytes handed out
}

// chunkBytes is the size of a chunk. Pieces of more than a quarter of it are made
// by themselves, and not kept.
const chunkBytes = 32 << 10

// take returns n bytes, not nil, with any content and no room behind them. They
// are the caller's until the reset.
func (a *arena) take(n int) []byte {
	a.used += n
	if n > chunkBytes/4 {
		return make([]byte, n)
	}
	if n > len(a.free) || a.free == nil {
		a.next()
	}
	piece := a.free[:n:n]
	a.free = a.free[n:]
	return piece
}

// next goes on with another chunk.
func (a *arena) next() {
	if a.free != nil {
		a.at++
	}
	if a.at == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, chunkBytes))
	}
	a.free = a.chunks[a.at]
}

// A placeIn an arena is how far it has come.
type placeIn struct {
	at, used int
	free     []byte
}

func (a *arena) place() placeIn { return placeIn{a.at, a.used, a.free} }

// goBack takes back what was handed out since a place.
func (a *arena) goBack(to placeIn) { a.at, a.used, a.free = to.at, to.used, to.free }

// reset takes everything back. It keeps as many chunks as were used.
func (a *arena) reset() {
	used := 0
	if a.free != nil {
		used = a.at + 1
	}
	clear(a.chunks[used:])
	a.chunks = a.chunks[:used]
	a.goBack(placeIn{})
}
