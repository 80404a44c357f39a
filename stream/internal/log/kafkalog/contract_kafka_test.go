//go:build kafka

package kafkalog

import (
	"os"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/log/logtest"
)

// TestContractOnKafka holds kafkalog to the contract on a real Kafka.
func TestContractOnKafka(t *testing.T) {
	brokers := realKafka(t)
	logtest.Run(t, func(t *testing.T) logtest.Harness { return harness(t, brokers, freshPrefix()) })
}

// realKafka are the addresses of the Kafka to test against.
func realKafka(t testing.TB) []string {
	t.Helper()
	addrs := os.Getenv("TAGTIDE_TEST_KAFKA")
	if addrs == "" {
		t.Fatal("TAGTIDE_TEST_KAFKA=host:port,… says where a Kafka is; make test-kafka starts one")
	}
	return strings.Split(addrs, ",")
}
