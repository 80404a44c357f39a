package view

import "github.com/prometheus/client_golang/prometheus"

// register registers the totals, exact over restarts and instances: they are
// what the group's table says, not what this process has seen.
func (v *View) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []struct {
		name, help string
		value      func(Totals) int64
	}{
		{"posts_total", "Posts counted, those that were deleted since included.", func(t Totals) int64 { return t.Posts + t.Deletes }},
		{"duplicates_total", "Posts that came again, or after their edit or delete.", func(t Totals) int64 { return t.Duplicates }},
		{"edits_total", "Counted posts whose hashtags an edit replaced.", func(t Totals) int64 { return t.Edits }},
		{"deletes_total", "Counted posts that were taken back.", func(t Totals) int64 { return t.Deletes }},
		{"skipped_total", "Posts and notices that were not counted.", func(t Totals) int64 { return t.Skipped }},
		{"dead_letters_total", "Records that could not be decoded.", func(t Totals) int64 { return t.DeadLetters }},
	} {
		err := r.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tagtide_" + c.name, Help: c.help},
			func() float64 { return float64(c.value(v.Totals())) }))
		if err != nil {
			return err
		}
	}
	err := r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tagtide_uses", Help: "Sum of all counts; edits and deletes take back."},
		func() float64 { return float64(v.index.Sum()) }))
	if err != nil {
		return err
	}
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tagtide_tags", Help: "Hashtags with a count above 0."},
		func() float64 { return float64(v.index.Len()) }))
}
