package kafkalog

import (
	"testing"

	"github.com/IBM/sarama"
)

// What hangs is ended with the outcome that the coordinator knows, and not at
// all where it may be that of another transaction.
func TestTheOutcomeIsThatOfTheTransactionThatHangs(t *testing.T) {
	const committed, aborted, empty = sarama.TransactionStateCompleteCommit, sarama.TransactionStateCompleteAbort, sarama.TransactionStateEmpty
	for _, c := range []struct {
		state         string
		epoch         int16
		hangs         []int32
		commit, known bool
	}{
		{committed, 4, []int32{4, 4}, true, true},
		{committed, 4, []int32{4, 3}, false, false}, // of an incarnation before
		{aborted, 4, []int32{4}, false, true},
		{aborted, 4, []int32{3, 3}, false, true}, // aborted by the coordinator
		{aborted, 4, []int32{2}, false, false},
		{empty, 4, []int32{4}, false, false},
		{empty, 4, []int32{3}, false, false},
	} {
		var open []opening
		for _, epoch := range c.hangs {
			open = append(open, opening{epoch: epoch})
		}
		commit, err := outcomeOf(&sarama.TransactionState{TransactionState: c.state, ProducerEpoch: c.epoch}, open)
		if commit != c.commit || (err == nil) != c.known {
			t.Errorf("%+v: %v, %v", c, commit, err)
		}
	}
}

// The values are those of Java's String.hashCode.
func TestPositionsAreWhereBrokersKeepThem(t *testing.T) {
	for group, want := range map[string]int32{"": 0, "abc": 96354, "tagtide": 1548045232, "polygenelubricants": 0} {
		if got := positionsIn(group, 1<<31-1); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
}
