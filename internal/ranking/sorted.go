package ranking

import "slices"

// sorted is the plain model of an Index: one sorted slice.
type sorted struct{ keys []Key }

func compareKeys(a, b Key) int {
	switch {
	case a.Before(b):
		return -1
	case b.Before(a):
		return 1
	}
	return 0
}

func (s *sorted) set(tag string, count int64) {
	s.keys = slices.DeleteFunc(s.keys, func(k Key) bool { return k.Tag == tag })
	if count > 0 {
		k := Key{Count: count, Tag: tag}
		i, _ := slices.BinarySearchFunc(s.keys, k, compareKeys)
		s.keys = slices.Insert(s.keys, i, k)
	}
}

func (s *sorted) get(tag string) (Row, bool) {
	for i, k := range s.keys {
		if k.Tag == tag {
			return Row{Rank: int64(i) + 1, Tag: tag, Count: k.Count}, true
		}
	}
	return Row{}, false
}

func (s *sorted) page(after *Key, limit int, prefix string) (rows []Row, more bool) {
	for i, k := range s.keys {
		if after != nil && !after.Before(k) || !begins(k.Tag, prefix) {
			continue
		}
		if len(rows) == max(limit, 0) {
			return rows, true
		}
		rows = append(rows, Row{Rank: int64(i) + 1, Tag: k.Tag, Count: k.Count})
	}
	return rows, false
}

func (s *sorted) sum() (total int64) {
	for _, k := range s.keys {
		total += k.Count
	}
	return total
}
