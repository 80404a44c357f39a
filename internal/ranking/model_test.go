package ranking

import (
	"cmp"
	"slices"
	"strings"
)

// model is the dumb twin of Index: a map and a sorted slice.
type model struct {
	counts   map[string]int64
	keys     []Key
	displays map[string]string
}

func compareKeys(a, b Key) int {
	switch {
	case a.Before(b):
		return -1
	case b.Before(a):
		return 1
	}
	return 0
}

func (m *model) set(tag string, count int64) {
	if old, ok := m.counts[tag]; ok {
		i, _ := slices.BinarySearchFunc(m.keys, Key{Count: old, Tag: tag}, compareKeys)
		m.keys = slices.Delete(m.keys, i, i+1)
		delete(m.counts, tag)
	}
	if count <= 0 {
		return
	}
	if m.counts == nil {
		m.counts = map[string]int64{}
	}
	m.counts[tag] = count
	k := Key{Count: count, Tag: tag}
	i, _ := slices.BinarySearchFunc(m.keys, k, compareKeys)
	m.keys = slices.Insert(m.keys, i, k)
}

func (m *model) get(tag string) (Row, bool) {
	i := slices.IndexFunc(m.keys, func(k Key) bool { return k.Tag == tag })
	if i < 0 {
		return Row{}, false
	}
	return m.row(i), true
}

func (m *model) row(i int) Row {
	k := m.keys[i]
	return Row{Rank: int64(i) + 1, Tag: k.Tag, Count: k.Count, Display: cmp.Or(m.displays[k.Tag], k.Tag)}
}

func (m *model) show(tag, display string) {
	if m.displays == nil {
		m.displays = map[string]string{}
	}
	m.displays[tag] = display
}

func (m *model) page(after *Key, limit int, prefix string) (rows []Row, more bool) {
	for i, k := range m.keys {
		switch {
		case after != nil && !after.Before(k), !strings.HasPrefix(k.Tag, prefix):
		case len(rows) == limit:
			return rows, true
		default:
			rows = append(rows, m.row(i))
		}
	}
	return rows, false
}

func (m *model) countPrefix(prefix string) (n int64) {
	for tag := range m.counts {
		if strings.HasPrefix(tag, prefix) {
			n++
		}
	}
	return n
}

func (m *model) sum() (total int64) {
	for _, count := range m.counts {
		total += count
	}
	return total
}
