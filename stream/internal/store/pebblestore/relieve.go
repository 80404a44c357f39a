package pebblestore

import (
	"cmp"
	"slices"
)

// largeGather is the size from which what was gathered becomes files.
const largeGather = 512 << 10

// relieve gives Pebble the largest gathers while all together are too large. held
// are contents that the caller holds; of others it takes those that nobody does.
func (s *Store) relieve(held []*content) error {
	over := s.gathered.Load() - int64(s.opts.GatherBytes)
	if over <= 0 {
		return nil
	}
	all := s.contents()
	slices.SortFunc(all, func(a, b *content) int {
		return cmp.Or(cmp.Compare(b.weight.Load(), a.weight.Load()), cmp.Compare(a.id, b.id))
	})
	var chosen []*content
	for _, c := range all {
		if over <= 0 || c.weight.Load() == 0 {
			break
		}
		if !slices.Contains(held, c) {
			if !c.tryHold() {
				continue
			}
			defer c.release()
		}
		chosen, over = append(chosen, c), over-c.weight.Load()
	}
	return s.writeGathers(chosen)
}

// contents are those of all tables that were opened.
func (s *Store) contents() (contents []*content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.catalogue {
		if e.content != nil {
			contents = append(contents, e.content)
		}
	}
	return contents
}

// writeGathers gives Pebble what lazy changes did to contents, which are held. What
// is large becomes files, all of them taken in one step.
func (s *Store) writeGathers(contents []*content) error {
	var small, large []step
	for _, c := range contents {
		st := step{content: c, gathered: c.gather.Load(), checkpoint: *c.checkpoint.Load()}
		switch {
		case !c.waits():
		case st.size() < s.opts.largeGather || s.opts.Deterministic:
			small = append(small, st)
		default:
			large = append(large, st)
		}
	}
	byID := func(a, b step) int { return cmp.Compare(a.content.id, b.content.id) }
	slices.SortFunc(large, byID) // the order of their keys
	if err := s.give(small, func() error { return s.commit(small, true) }); err != nil {
		return err
	}
	return s.give(large, func() error { return s.ingest(large) })
}

// give gives Pebble gathers, and begins new ones.
func (s *Store) give(steps []step, how func() error) error {
	if len(steps) == 0 {
		return nil
	}
	if err := s.write(how); err != nil {
		return err
	}
	for i := range steps {
		steps[i].content.moved(steps[i].progress(), true)
		steps[i].content.endGather()
	}
	return nil
}
