package kafkalog

import (
	"errors"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// Join implements [log.Log].
func (l *Log) Join(group string, o log.JoinOptions) (log.Member, error) {
	return nil, errors.ErrUnsupported
}
