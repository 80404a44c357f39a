package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const rawTopic = "raw"

// rawWrite measures what the broker takes from a fast client that promises
// nothing but that all replicas have it: the same posts, four partitions.
func (b bench) rawWrite(ctx context.Context) (result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(b.brokers, ",")...), kgo.DefaultProduceTopic(rawTopic),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return result{}, err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 4, -1, nil, rawTopic); err != nil {
		return result{}, fmt.Errorf("create topic %s: %w", rawTopic, err)
	}
	f, err := os.Open(b.file("tweets.jsonl"))
	if err != nil {
		return result{}, err
	}
	defer f.Close()
	begin := time.Now()
	n := int64(0)
	var failed error
	for lines := bufio.NewScanner(bufio.NewReaderSize(f, 1<<20)); lines.Scan(); n++ {
		client.Produce(ctx, kgo.SliceRecord(append([]byte(nil), lines.Bytes()...)), func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err // callbacks come one after another
			}
		})
	}
	err = client.Flush(ctx)
	return result{Items: n, Seconds: time.Since(begin).Seconds()}, errors.Join(err, failed)
}

// rawRead measures what it gives to a fast client.
func (b bench) rawRead(ctx context.Context) (result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(b.brokers, ",")...), kgo.ConsumeTopics(rawTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return result{}, err
	}
	defer client.Close()
	begin := time.Now()
	n := int64(0)
	for n < int64(b.posts) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return result{}, err
		}
		n += int64(fetches.NumRecords())
	}
	return result{Items: n, Seconds: time.Since(begin).Seconds()}, nil
}
