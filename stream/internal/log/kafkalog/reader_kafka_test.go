//go:build kafka

package kafkalog

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// BenchmarkRead reads records of 350 bytes from four partitions of a real
// Kafka, and reports the time and the processor time of this process for each.
func BenchmarkRead(b *testing.B) {
	const records, partitions = 400_000, 4
	for _, codec := range []string{"none", "lz4", "zstd", "snappy", "gzip"} {
		b.Run(codec, func(b *testing.B) {
			brokers := realKafka(b)
			l := open(b, Options{Brokers: brokers})
			topic := log.Topic{Name: freshPrefix() + "bench", Partitions: partitions, ReplicationFactor: 1}
			if err := l.CreateTopic(context.Background(), topic); err != nil {
				b.Fatal(err)
			}
			fill(b, brokers, topic.Name, codec, records, partitions)
			ends, err := l.Ends(context.Background(), partitionsOf(topic)...)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				began, cpu := time.Now(), processorTime()
				readAll(b, l, ends)
				b.ReportMetric(float64(time.Since(began).Nanoseconds())/records, "ns/record")
				b.ReportMetric(float64((processorTime()-cpu).Nanoseconds())/records, "cpu-ns/record")
			}
		})
	}
}

// fill writes records to a topic, round robin.
func fill(b *testing.B, brokers []string, topic, codec string, records, partitions int) {
	b.Helper()
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
		"snappy": kgo.SnappyCompression(), "gzip": kgo.GzipCompression(),
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[codec]))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	value := make([]byte, 320)
	for i := range value {
		value[i] = byte('a' + i*i%23)
	}
	for i := range records {
		key := fmt.Appendf(nil, "synth:%014d", i)
		c.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: key, Value: value}, nil)
	}
	if err := c.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func partitionsOf(t log.Topic) (ps []record.Partition) {
	for n := range t.Partitions {
		ps = append(ps, record.Partition{Topic: t.Name, Number: n})
	}
	return ps
}

// readAll reads partitions to their ends.
func readAll(b *testing.B, l *Log, ends map[record.Partition]log.Range) {
	b.Helper()
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	for p, x := range ends {
		r.Seek(p, x.Start)
	}
	for left := len(ends); left > 0; {
		all, err := r.Poll()
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range all {
			if f.Err != nil {
				b.Fatal(f.Err)
			}
			if f.Next >= ends[f.Partition].End {
				left--
			}
		}
		if len(all) == 0 {
			<-r.Ready()
		}
	}
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
