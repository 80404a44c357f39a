package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// verdicts say what brokers' errors mean in the contract's words. An error
// that is not here is final and has no name in the contract.
var verdicts = map[sarama.KError]error{
	sarama.ErrUnknownTopicOrPartition: log.ErrUnknownTopic,
	sarama.ErrInvalidTopic:            log.ErrUnknownTopic,
	sarama.ErrTopicAlreadyExists:      log.ErrTopicExists,
	sarama.ErrOffsetOutOfRange:        log.ErrOutOfRange,
	sarama.ErrInvalidMessage:          log.ErrDamaged,
	sarama.ErrMessageSizeTooLarge:     log.ErrTooLarge,
	sarama.ErrMessageSetSizeTooLarge:  log.ErrTooLarge,
	sarama.ErrUnstableOffsetCommit:    log.ErrUnstable,
	sarama.ErrNonEmptyGroup:           log.ErrGroupActive,
	sarama.ErrGroupSubscribedToTopic:  log.ErrGroupActive,

	sarama.ErrInvalidProducerEpoch:         log.ErrFenced,
	sarama.ErrProducerFenced:               log.ErrFenced,
	sarama.ErrInvalidProducerIDMapping:     log.ErrFenced,
	sarama.ErrTransactionCoordinatorFenced: log.ErrFenced,
	sarama.ErrFencedInstancedId:            log.ErrFenced,

	sarama.ErrIllegalGeneration:   log.ErrGeneration,
	sarama.ErrUnknownMemberId:     log.ErrGeneration,
	sarama.ErrRebalanceInProgress: log.ErrGeneration,

	sarama.ErrLeaderNotAvailable:              log.ErrUnavailable,
	sarama.ErrNotLeaderForPartition:           log.ErrUnavailable,
	sarama.ErrRequestTimedOut:                 log.ErrUnavailable,
	sarama.ErrBrokerNotAvailable:              log.ErrUnavailable,
	sarama.ErrReplicaNotAvailable:             log.ErrUnavailable,
	sarama.ErrNetworkException:                log.ErrUnavailable,
	sarama.ErrOffsetsLoadInProgress:           log.ErrUnavailable,
	sarama.ErrConsumerCoordinatorNotAvailable: log.ErrUnavailable,
	sarama.ErrNotCoordinatorForConsumer:       log.ErrUnavailable,
	sarama.ErrNotEnoughReplicas:               log.ErrUnavailable,
	sarama.ErrNotEnoughReplicasAfterAppend:    log.ErrUnavailable,
	sarama.ErrNotController:                   log.ErrUnavailable,
	sarama.ErrConcurrentTransactions:          log.ErrUnavailable,
	sarama.ErrKafkaStorageError:               log.ErrUnavailable,
	sarama.ErrFencedLeaderEpoch:               log.ErrUnavailable,
	sarama.ErrUnknownLeaderEpoch:              log.ErrUnavailable,
	sarama.ErrOffsetNotAvailable:              log.ErrUnavailable,
	sarama.ErrPreferredLeaderNotAvailable:     log.ErrUnavailable,
	sarama.ErrEligibleLeadersNotAvailable:     log.ErrUnavailable,
	sarama.ErrThrottlingQuotaExceeded:         log.ErrUnavailable,
	sarama.ErrReassignmentInProgress:          log.ErrUnavailable,
	sarama.ErrStaleBrokerEpoch:                log.ErrUnavailable,
}

// advice tells an operator what to do about errors that no retry mends.
var advice = map[sarama.KError]string{
	sarama.ErrTopicAuthorizationFailed:           "grant this user READ, WRITE, DESCRIBE and DESCRIBE_CONFIGS on the topic (CREATE, ALTER and DELETE to manage it)",
	sarama.ErrGroupAuthorizationFailed:           "grant this user READ and DESCRIBE on the group",
	sarama.ErrClusterAuthorizationFailed:         "grant this user the operation on the cluster",
	sarama.ErrTransactionalIDAuthorizationFailed: "grant this user WRITE and DESCRIBE on the transactional id",
	sarama.ErrSASLAuthenticationFailed:           "check user and password",
	sarama.ErrUnsupportedSASLMechanism:           "use a mechanism that this listener has enabled",
	sarama.ErrIllegalSASLState:                   "this listener wants no SASL: leave it out, or use another port",
	sarama.ErrPolicyViolation:                    "the cluster's policy forbids it",
	sarama.ErrInvalidReplicationFactor:           "use a replication factor that the cluster has brokers for",
	sarama.ErrMessageSizeTooLarge:                "raise max.message.bytes of the topic (or message.max.bytes of the brokers)",
	sarama.ErrInvalidTimestamp:                   "a record is stamped further from the broker's time than the topic takes: set the clock of the machine that stamped it, or of the broker, or raise message.timestamp.after.max.ms of the topic",
	sarama.ErrInvalidTransactionTimeout:          "raise transaction.max.timeout.ms of the brokers",
	sarama.ErrUnsupportedVersion:                 "the broker is older than Apache Kafka 3.0, or the port is a controller's",
	sarama.ErrNotEnoughReplicas:                  "min.insync.replicas of the topic wants more brokers than are there",
}

// classify says what a broker's answer means: nil, or an error that is one of
// the contract's where that has one, and the broker's own.
func classify(err sarama.KError) error {
	if err == sarama.ErrNoError {
		return nil
	}
	verdict, named := verdicts[err]
	hint, advised := advice[err]
	switch {
	case named && advised:
		return fmt.Errorf("%w: %w (%s)", verdict, err, hint)
	case named:
		return fmt.Errorf("%w: %w", verdict, err)
	case advised:
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}

// retriable tells whether the same may work a little later.
func retriable(err error) bool { return errors.Is(err, log.ErrUnavailable) }

// A backoff is how long to wait before the next try: longer each time, and by
// chance, so that not everybody comes back at once.
type backoff struct{ tries int }

const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// next is the next pause.
func (b *backoff) next() time.Duration {
	d := min(firstPause<<min(b.tries, 10), lastPause)
	b.tries++
	return d/2 + jitter(d/2)
}

// wait waits for the next try, or for the end of ctx.
func (b *backoff) wait(ctx context.Context) error {
	t := time.NewTimer(b.next())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
