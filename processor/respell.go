package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/stream"
)

// An oracle knows how often each spelling of each key was used, however many
// there are, by counting one by one. Spellings stay when they are back at 0.
type oracle map[string][]spelling.Count

func (o oracle) use(key, spelled []byte, n int64) {
	all := o[string(key)]
	for i := range all {
		if all[i].Spelling == string(spelled) {
			all[i].Uses += n
			return
		}
	}
	o[string(key)] = append(all, spelling.Count{Spelling: string(spelled), Uses: n})
}

func total(all []spelling.Count) (n int64) {
	for _, c := range all {
		n += c.Uses
	}
	return n
}

// misspelled compares with the table of spellings. Keys that never had more
// spellings than a row may list must have exactly what was counted; rows of
// others must be possible.
func (o oracle) misspelled(ctx context.Context, l *stream.Log, table string) (fault string, err error) {
	rows, err := latest(ctx, l, table)
	if errors.Is(err, stream.ErrUnknownTopic) {
		return "", nil // the group is of a version that kept none
	}
	if err != nil {
		return "", err
	}
	for key, all := range o {
		if fault := compare(key, all, spelling.Row(rows[key])); fault != "" {
			return fault, nil
		}
		delete(rows, key)
	}
	for key := range rows {
		return fmt.Sprintf("%s is spelled in the table and not in the input", key), nil
	}
	return "", nil
}

func compare(key string, all []spelling.Count, row spelling.Row) (fault string) {
	sum := total(all)
	if sum == 0 {
		if row != "" {
			return fmt.Sprintf("%s is spelled %q in the table, and in no post any more", key, row)
		}
		return ""
	}
	listed, rest, err := row.Counts(key, sum)
	if err != nil {
		return fmt.Sprintf("%s: %v", key, err)
	}
	for _, c := range listed {
		if hashtag.Key(c.Spelling) != key || c.Uses < 0 || rest < 0 {
			return fmt.Sprintf("%s is spelled %q in the table, which cannot be", key, row)
		}
	}
	if len(all) > spelling.Most {
		return ""
	}
	want := slices.DeleteFunc(slices.Clone(all), func(c spelling.Count) bool { return c.Uses == 0 })
	slices.SortFunc(want, func(a, b spelling.Count) int {
		return cmp.Or(cmp.Compare(b.Uses, a.Uses), cmp.Compare(a.Spelling, b.Spelling))
	})
	if !slices.Equal(listed, want) {
		return fmt.Sprintf("%s is spelled %v in the table and %v in the input", key, listed, want)
	}
	return ""
}
