package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
)

const (
	pageSize = 40       // statuses: what servers give at most
	maxPage  = 16 << 20 // bytes; one of 40 statuses has some 200 KiB
)

// page returns the statuses that follow on an id, the smallest id first, at
// most 40: an empty page is the end. Behind "" come the newest.
func (c *client) page(ctx context.Context, behind string, p *pacer) ([]message, error) {
	u := c.base.JoinPath("api/v1/timelines/public")
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if behind != "" {
		query.Set("min_id", behind)
	}
	u.RawQuery = query.Encode()
	body, err := c.read(ctx, u, maxPage, p)
	if err != nil {
		return nil, err
	}
	return parsePage(body, behind)
}

// parsePage splits a page. What is not behind the id is left out: a server that
// does not know min_id would give the same page again and again.
func parsePage(body []byte, behind string) ([]message, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("no page of statuses: %w", err)
	}
	page := make([]message, 0, len(raw))
	for _, data := range raw {
		m := message{data, parseMeta(kindStatus, data)}
		if m.id == "" {
			return nil, errors.New("no page of statuses: one has no id")
		}
		if newer(m.id, behind) {
			page = append(page, m)
		}
	}
	slices.SortStableFunc(page, func(a, b message) int {
		switch {
		case newer(a.id, b.id):
			return 1
		case newer(b.id, a.id):
			return -1
		}
		return 0
	})
	return page, nil
}
