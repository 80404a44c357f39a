package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/kafkalog"
)

// KafkaOptions say where a Kafka is and how to speak to it. Brokers are
// required; the rest has a good zero value.
type KafkaOptions struct {
	// Brokers are addresses, host:port, of some of the cluster's brokers. The
	// others are learnt from these.
	Brokers []string
	// TLS encrypts connections; default: they are not.
	TLS *tls.Config
	// SASL is the mechanism that User and Password prove themselves by: plain,
	// scram-sha-256 or scram-sha-512; default none.
	SASL, User, Password string
	// ClientID is the name under which brokers log us; default "tagtide".
	ClientID string
	// Compression of what is written: none, gzip, snappy, lz4 or zstd; default
	// none. What is read may be compressed in any way.
	Compression string
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
}

// OpenKafka connects to a Kafka. The error says which broker answered what if
// none is there, is a Kafka, or lets us in. Later the log gets over brokers
// that are away by itself.
func OpenKafka(ctx context.Context, o KafkaOptions) (*Log, error) {
	l, err := kafkalog.Open(ctx, kafkalog.Options{
		Brokers: o.Brokers, TLS: o.TLS, ClientID: o.ClientID,
		SASL:        kafkalog.SASL{Mechanism: kafkalog.Mechanism(o.SASL), User: o.User, Password: o.Password},
		Compression: kafkalog.Compression(o.Compression),
		Logger:      cmp.Or(o.Logger, slog.Default()),
	})
	if err != nil {
		return nil, err
	}
	return &Log{l}, nil
}

// Errors of a log that others share.
var (
	// ErrUnavailable: the log cannot answer for now; nothing happened.
	ErrUnavailable = log.ErrUnavailable
	// ErrGroupActive: the group has members.
	ErrGroupActive = log.ErrGroupActive
)
