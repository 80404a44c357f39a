package xstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A remoteRule is a rule as X has it.
type remoteRule struct {
	ID    string `json:"id"`
	Value string `json:"value"`
	Tag   string `json:"tag"`
}

// rulesAnswer is what X says of its rules.
type rulesAnswer struct {
	Data []remoteRule `json:"data"`
	Meta struct {
		NextToken string `json:"next_token"`
		Summary   struct {
			Created    int `json:"created"`
			NotDeleted int `json:"not_deleted"`
		} `json:"summary"`
	} `json:"meta"`
	Errors []problem `json:"errors"`
}

// A plan is what has to change so that X has the rules that are wanted.
type plan struct {
	add     []rule
	remove  []string // ids
	kept    int
	foreign int // that others made, which stay
}

// makePlan compares what is wanted with what there is. Only rules with our tag
// are ours to delete. Whoever made a rule that is wanted, it will do: X takes
// the same rule once.
func makePlan(wanted []rule, there []remoteRule, tag string) plan {
	missing := map[string]bool{}
	for _, r := range wanted {
		missing[r.value] = true
	}
	var p plan
	for _, r := range there {
		switch {
		case r.Tag != tag:
			p.foreign++
		case r.ID == "":
			continue
		case missing[r.Value]:
			p.kept++
		default:
			p.remove = append(p.remove, r.ID)
			continue
		}
		delete(missing, r.Value)
	}
	for _, r := range wanted {
		if missing[r.value] {
			p.add = append(p.add, r)
		}
	}
	return p
}

// changesPerCall is how many rules are named in one request.
const changesPerCall = 100

// syncRules makes X have the rules that are wanted. An error is a *failure; X
// may then have some of them, which is put right the next time.
func (c *client) syncRules(ctx context.Context, wanted []rule, tag string) (plan, error) {
	there, err := c.listRules(ctx)
	if err != nil {
		return plan{}, err
	}
	p := makePlan(wanted, there, tag)
	for ids := range slices.Chunk(p.remove, changesPerCall) {
		if err := c.deleteRules(ctx, ids); err != nil {
			return p, err
		}
	}
	for rules := range slices.Chunk(p.add, changesPerCall) {
		if err := c.addRules(ctx, rules, tag); err != nil {
			return p, err
		}
	}
	return p, nil
}

// listRules reads all rules of the app.
func (c *client) listRules(ctx context.Context) ([]remoteRule, error) {
	const maxPages = 100 // of a server that never ends
	var all []remoteRule
	query := url.Values{"max_results": {"1000"}}
	for range maxPages {
		var page rulesAnswer
		if err := c.call(ctx, http.MethodGet, rulesPath, query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		next := page.Meta.NextToken
		if next == "" || next == query.Get("pagination_token") {
			return all, nil
		}
		query.Set("pagination_token", next)
	}
	return nil, &failure{remedy: later, err: fmt.Errorf("list rules: more than %d pages", maxPages)}
}

func (c *client) deleteRules(ctx context.Context, ids []string) error {
	var body struct {
		Delete struct {
			IDs []string `json:"ids"`
		} `json:"delete"`
	}
	body.Delete.IDs = ids
	var answer rulesAnswer
	if err := c.call(ctx, http.MethodPost, rulesPath, nil, body, &answer); err != nil {
		return err
	}
	if n := answer.Meta.Summary.NotDeleted; n > 0 {
		return &failure{remedy: later, err: fmt.Errorf("delete rules: %d of %d are still there", n, len(ids))}
	}
	return nil
}

func (c *client) addRules(ctx context.Context, rules []rule, tag string) error {
	type added struct {
		Value string `json:"value"`
		Tag   string `json:"tag"`
	}
	var body struct {
		Add []added `json:"add"`
	}
	for _, r := range rules {
		body.Add = append(body.Add, added{r.value, tag})
	}
	var answer rulesAnswer
	err := c.call(ctx, http.MethodPost, rulesPath, nil, body, &answer)
	if f := (*failure)(nil); errors.As(err, &f) && len(f.rules) > 0 {
		answer.Errors = f.rules
	} else if err != nil {
		return err
	}
	return refused(rules, &answer, err)
}

// refused says which phrases X does not take, nil if it has all.
func refused(rules []rule, answer *rulesAnswer, err error) error {
	var faults []error
	twice := 0
	for _, p := range answer.Errors {
		if p.name() == "duplicate-rules" || p.Title == "DuplicateRule" {
			twice++
			continue
		}
		faults = append(faults, fmt.Errorf("the rule %s is refused by X: %s", describe(rules, p.Value), p))
	}
	switch made := answer.Meta.Summary.Created; {
	case len(faults) > 0:
		return &failure{remedy: hopeless, err: errors.Join(faults...)}
	case err != nil && twice < len(rules):
		return err
	case err == nil && made+twice < len(rules) && len(answer.Data)+twice < len(rules):
		return &failure{remedy: later, err: fmt.Errorf("add rules: X made %d of %d and does not say why", made, len(rules)-twice)}
	}
	return nil
}

// describe names a rule by what the user gave.
func describe(rules []rule, value string) string {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.value == value })
	if i < 0 {
		return clip(value)
	}
	return fmt.Sprintf("%s made of --track %q", clip(value), strings.Join(rules[i].phrases, ", "))
}
