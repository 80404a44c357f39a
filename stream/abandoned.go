package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// EndAbandoned ends the transactions that have been open for longer than age
// under ids that begin with prefix: those that were decided as they were, others
// by an abort. Brokers do so when a transaction times out, but may forget those
// of a partition that has no leader at that moment, and then readers wait in
// front of them for ever. Whoever still writes under such an id is fenced, and
// has to begin anew. It may be called while the log is in use; an error tells of
// those that are still open.
func EndAbandoned(ctx context.Context, l *Log, prefix string, age time.Duration) error {
	open, err := l.keeper.OpenTransactions(ctx)
	if err != nil {
		return fmt.Errorf("list transactions: %w", err)
	}
	var errs []error
	for _, t := range open {
		if !strings.HasPrefix(t.TransactionalID, prefix) || time.Since(t.Since) <= age {
			continue
		}
		p, err := l.keeper.Producer(ctx, t.TransactionalID)
		if err == nil {
			err = p.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("end the transaction of %s: %w", t.TransactionalID, err))
		}
	}
	return errors.Join(errs...)
}
