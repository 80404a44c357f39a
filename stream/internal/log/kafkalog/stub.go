package kafkalog

import (
	"context"
	"errors"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Topics implements [log.Log].
func (l *Log) Topics(ctx context.Context, names ...string) ([]log.Topic, error) {
	return nil, errors.ErrUnsupported
}

// CreateTopic implements [log.Log].
func (l *Log) CreateTopic(ctx context.Context, t log.Topic) error { return errors.ErrUnsupported }

// DeleteTopic implements [log.Log].
func (l *Log) DeleteTopic(ctx context.Context, name string) error { return errors.ErrUnsupported }

// Purge implements [log.Log].
func (l *Log) Purge(ctx context.Context, before map[record.Partition]int64) error {
	return errors.ErrUnsupported
}

// Ends implements [log.Log].
func (l *Log) Ends(ctx context.Context, partitions ...record.Partition) (map[record.Partition]log.Range, error) {
	return nil, errors.ErrUnsupported
}

// PositionAt implements [log.Log].
func (l *Log) PositionAt(ctx context.Context, unixMilli int64, partitions ...record.Partition) (map[record.Partition]int64, error) {
	return nil, errors.ErrUnsupported
}

// NewReader implements [log.Log].
func (l *Log) NewReader(o log.ReaderOptions) log.Reader { return nil }

// Positions implements [log.Log].
func (l *Log) Positions(ctx context.Context, group string, partitions ...record.Partition) (map[record.Partition]int64, error) {
	return nil, errors.ErrUnsupported
}

// Groups implements [log.Log].
func (l *Log) Groups(ctx context.Context) ([]string, error) { return nil, errors.ErrUnsupported }

// DeleteGroup implements [log.Log].
func (l *Log) DeleteGroup(ctx context.Context, group string) error { return errors.ErrUnsupported }

// OpenTransactions implements [log.Log].
func (l *Log) OpenTransactions(ctx context.Context) ([]log.OpenTransaction, error) {
	return nil, errors.ErrUnsupported
}
