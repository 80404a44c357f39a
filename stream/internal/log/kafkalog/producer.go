package kafkalog

import (
	"context"
	"errors"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// Producer implements [log.Log].
func (l *Log) Producer(ctx context.Context, transactionalID string) (log.Producer, error) {
	return nil, errors.ErrUnsupported
}
