package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthcheckCmd asks a running tagtide whether it is alive, or ready.
type healthcheckCmd struct {
	URL     string        `help:"What to ask." default:"http://127.0.0.1:8080/healthz"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"3s"`
}

// Run does it.
func (c *healthcheckCmd) Run(ctx context.Context, s std) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s answered %s: %s", c.URL, resp.Status, body)
	}
	_, err = s.out.Write(body)
	return err
}
