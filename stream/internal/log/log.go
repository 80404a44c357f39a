// Package log is the engine's contract with the log beneath it: topics of
// partitions, read by position, written in transactions, shared by groups
// whose members own work and commit positions with their generation.
//
// Two packages keep it: embedded (one process, on Pebble) and kafkalog (a real
// Kafka). One conformance suite, logtest, holds both to every sentence here;
// each method names the Kafka RPCs that keep it.
//
// # Guarantees every keeper gives
//
//   - Order: a partition's records are read in offset order; offsets rise but
//     may have gaps.
//   - Atomicity: of one committed transaction all records and group positions
//     become readable, or none, also across a crash. Within a partition they do
//     so at once; from partition to partition a moment may pass (Kafka writes a
//     marker to each after the transaction is committed), and so may one between
//     the answer to a commit and the first read of it. Positions do not run
//     ahead of that: until they are settled they are [ErrUnstable].
//   - Isolation: a [Reader] delivers committed records only, and nothing behind
//     a transaction that is still open (Kafka: read_committed).
//   - Fencing: after [Log.Producer] returned for a transactional id, no
//     transaction of an earlier producer of that id can commit any more, and
//     none is open. A transaction that carries positions commits only under
//     the group's current generation.
//   - Durability: what was answered as committed survives kill -9 (embedded:
//     and power loss).
//
// # Time
//
// No method but the explicit waits (ctx) blocks for longer than the work
// takes. [Reader.Poll] and [Member.Poll] never block: whoever has nothing to
// do waits on their Ready channels. That is what lets a simulation drive whole
// groups from one goroutine.
package log

import (
	"context"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Log is a set of topics and groups. All methods are safe for concurrent use.
type Log interface {
	// ID identifies the log for as long as its data lives: the Kafka cluster
	// id, or the id the embedded log was created with. Stores remember it.
	ID() string

	// Markers is how many positions the end of a transaction takes in each
	// partition that it wrote to, behind its records (Kafka: 1, a control batch).
	Markers() int64

	// Topics describes the named topics, or all of them when none is named.
	// A topic that does not exist is left out, no error.
	// Kafka: Metadata, DescribeConfigs.
	Topics(ctx context.Context, names ...string) ([]Topic, error)

	// CreateTopic creates a topic, or fails with [ErrTopicExists].
	// Kafka: CreateTopics.
	CreateTopic(ctx context.Context, t Topic) error

	// Partitions counts the partitions of topics; those that do not exist are
	// left out. It is cheap enough to be asked several times a second. The number
	// only grows, but the one who answers may be a moment behind.
	// Kafka: Metadata.
	Partitions(ctx context.Context, names ...string) (map[string]int32, error)

	// AddPartitions makes a topic have n partitions, unless it has as many or
	// more, which is no error: so several may ask for it at once. What is in the
	// topic stays where it is, the topic's ID too, and the new partitions are
	// empty. [ErrUnknownTopic] if it is not there.
	// Kafka: CreatePartitions.
	AddPartitions(ctx context.Context, name string, n int32) error

	// DeleteTopic removes a topic and everything in it, the positions that
	// groups committed for it included; [ErrUnknownTopic] if it is not there.
	// A topic created later under the same name has another ID.
	// Kafka: DeleteTopics (and OffsetDelete).
	DeleteTopic(ctx context.Context, name string) error

	// Purge removes what stands before an offset, for good: the partition's
	// Start becomes at least that offset. Positions beyond Stable are refused
	// with [ErrOutOfRange], and then nothing is purged; positions at or before
	// Start do nothing. If the log becomes unavailable on the way, some may be
	// purged and others not: the same purge again does the rest.
	// Kafka: DeleteRecords.
	Purge(ctx context.Context, before map[record.Partition]int64) error

	// Ends returns where partitions begin and end. A partition that does not
	// exist fails the call with [ErrUnknownTopic].
	// Kafka: ListOffsets (earliest; latest under both isolation levels).
	Ends(ctx context.Context, partitions ...record.Partition) (map[record.Partition]Range, error)

	// PositionAt returns, per partition, the first position whose record has a
	// timestamp of at least unixMilli, or End when there is none. Only committed
	// records count, and of those the ones before Stable; the least int64 finds
	// the first of all.
	// Kafka: ListOffsets by timestamp; and Fetch, because brokers count aborted
	// records too.
	PositionAt(ctx context.Context, unixMilli int64, partitions ...record.Partition) (map[record.Partition]int64, error)

	// NewReader returns a reader that reads nothing until it is told where.
	// Kafka: Fetch, one connection a broker, read_committed.
	NewReader(o ReaderOptions) Reader

	// Producer takes over a transactional id: it aborts the open transaction
	// of the id's previous producer (or waits for the end of one that was
	// already being committed) and fences that producer for ever.
	// Kafka: InitProducerId.
	Producer(ctx context.Context, transactionalID string) (Producer, error)

	// Positions returns what the group committed, for the partitions that have
	// something committed. It fails with [ErrUnstable] while an open
	// transaction holds positions for one of them, because they may be about
	// to change: ask again.
	// Kafka: OffsetFetch with require_stable.
	Positions(ctx context.Context, group string, partitions ...record.Partition) (map[record.Partition]int64, error)

	// Join makes a member of a group and starts its first rebalance. It never
	// blocks for the group: the first claim arrives through the member's Poll.
	// Kafka: FindCoordinator, JoinGroup, SyncGroup, Heartbeat.
	Join(group string, o JoinOptions) (Member, error)

	// Members describes the members of a group, sorted by id; none if there is
	// no such group. Metadata is at least as new as the last rebalance, and
	// Assignment what that gave; while one is going on both may be missing.
	// Kafka: DescribeGroups.
	Members(ctx context.Context, group string) ([]MemberInfo, error)

	// Groups lists the groups that have members or committed positions.
	// Kafka: ListGroups.
	Groups(ctx context.Context) ([]string, error)

	// DeleteGroup forgets a group's positions. [ErrGroupActive] while it has members.
	// Kafka: DeleteGroups.
	DeleteGroup(ctx context.Context, group string) error

	// OpenTransactions lists the transactions that were begun and not ended.
	// Kafka: ListTransactions, DescribeTransactions.
	OpenTransactions(ctx context.Context) ([]OpenTransaction, error)

	// Close releases the log. Readers, producers and members of it fail with
	// [ErrClosed] afterwards.
	Close() error
}

// A Topic describes a topic. For CreateTopic, zero values mean the keeper's
// defaults, and ID is ignored.
type Topic struct {
	Name              string
	ID                string // unique per creation, "" where the keeper has none
	Partitions        int32
	ReplicationFactor int16 // Kafka only; 0: the broker's default
	Cleanup           Cleanup
	Retention         time.Duration // Delete: records older than this may go; 0: kept for ever
	SegmentBytes      int64         // Kafka only; 0: the broker's default
	MaxMessageBytes   int           // Kafka only: of a batch, so of a record too; 0: the broker's default
	// AnyTime lets records be stamped as far from the brokers' time as may be:
	// what the engine writes carries the time of what it was made from.
	AnyTime         bool
	MinDirtyRatio   float64       // Compact: part of the log that must be new before it is compacted; 0: the default, 0.5
	DeleteRetention time.Duration // Compact: how long a delete stays readable after compaction reached it; 0: 24 h
}

// Cleanup says how a topic forgets: a set of bits.
type Cleanup uint8

// The cleanup policies; Kafka's cleanup.policy.
const (
	Delete  Cleanup = 1 << iota // by age
	Compact                     // all but the last record of each key
)

// A Range is the extent of a partition.
//
//	Start ≤ Stable ≤ End
//	├──────────────┼──────┤
//	  readable       behind an open transaction
type Range struct {
	Start  int64 // first position that still exists
	Stable int64 // where committed reading ends (Kafka: last stable offset)
	End    int64 // where the next record will go (Kafka: high watermark)
}

// ReaderOptions bound a reader's memory. Zero values take the defaults.
type ReaderOptions struct {
	// MaxBytes of batches one Poll returns, over all partitions; at least one
	// batch is returned whatever its size. Default 8 MiB.
	MaxBytes int
	// MaxPartitionBytes of batches one Poll returns of one partition. Default 1 MiB.
	MaxPartitionBytes int
}

// A Reader reads partitions by position, committed records only. It belongs
// to one goroutine, Ready excepted.
type Reader interface {
	// Seek sets where to read a partition next, and adds the partition if the
	// reader did not read it yet.
	Seek(p record.Partition, next int64)
	// Drop stops reading a partition.
	Drop(p record.Partition)
	// Poll returns what can be read now without waiting, possibly nothing: at
	// most one Fetched per partition, fairly over the partitions. It returns a
	// Fetched without batches where only the position moved (over markers,
	// aborted records or holes), so that a position reaches the end also when
	// no record stands there, and one with Err where a partition cannot be
	// read: it stays where it is until it is sought or dropped, or can be read
	// again. What was read ahead is returned even if it was purged meanwhile.
	// A topic that is deleted and created anew under a reader is another one:
	// [ErrUnknownTopic] until the partition is sought again.
	// The error is [ErrClosed], or nil: keepers reconnect by themselves.
	Poll() ([]Fetched, error)
	// Ready receives after something may have become readable since the last
	// Poll. Spurious wake-ups happen.
	Ready() <-chan struct{}
	// Close releases the reader.
	Close()
}

// Fetched is what one Poll read of one partition: everything committed in
// [From, Next). The bytes of Batches are the caller's for as long as it keeps them.
type Fetched struct {
	Partition record.Partition
	From      int64          // the position that was asked for
	Next      int64          // the position after it; the reader goes on there
	Batches   []record.Batch // the first may begin before From: skip records before it
	Range     Range          // the partition's extent when it was read
	Err       error          // ErrOutOfRange, ErrUnknownTopic, ErrDamaged, …
}

// A Producer writes transactions under one transactional id. One transaction
// at a time; it belongs to one goroutine at a time.
type Producer interface {
	// Commit makes a whole transaction: all writes and positions, or nothing.
	//
	// Outcomes:
	//   - nil: committed; the receipt has where the writes went.
	//   - [ErrFenced]: not committed; another producer took over the id. Final.
	//   - [ErrGeneration]: not committed, because the claim is not of the
	//     group's current generation; the same transaction may be committed
	//     again under the new one, if the member still owns the work.
	//   - [ErrInDoubt]: not known. Get a new producer of the same id (which
	//     decides it), then read positions: they tell. Nothing else does.
	//   - [ErrTooLarge]: not committed. A [TooLarge] names the record, if it is one.
	//   - anything else: not committed, and no transaction left open.
	//
	// After ErrFenced and ErrInDoubt the producer is dead.
	// Kafka: AddPartitionsToTxn, Produce, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.
	Commit(ctx context.Context, t *Txn) (Receipt, error)
	// Close releases the producer. It does not abort: nothing is ever left open
	// by an outcome other than ErrInDoubt.
	Close() error
}

// A Txn is one transaction, as a value. Commit does not keep it.
type Txn struct {
	// Writes in order; several for one partition are appended in this order.
	Writes []Write
	// Positions are group positions to commit with the writes (next to be
	// handled, not last handled), under Claim. With a non-empty Claim.Group
	// the claim is checked even when no position moved: that is what fences.
	Positions map[record.Partition]int64
	Claim     GroupClaim
}

// A Write appends the builder's records to a partition. The keeper seals the
// builder; the caller may Reset and reuse it after Commit returned, unless
// that was [ErrInDoubt].
type Write struct {
	Partition record.Partition
	Records   *record.Builder
}

// A GroupClaim says under which membership positions are committed. Without a
// Member, and with Generation -1, it is a tool's: that commits only while the
// group has no members.
type GroupClaim struct {
	Group      string
	Member     string
	Generation int32
}

// A Receipt tells where a committed transaction's writes went: per write of
// the Txn, the position right behind its last record.
type Receipt struct {
	Next []int64
}

// JoinOptions describe a member.
type JoinOptions struct {
	// InstanceID makes the membership static: a member that joins with the
	// instance id of another replaces it at once, and the other is fenced. In a
	// group without a rebalance under way it takes over the other's claim.
	// "": dynamic.
	InstanceID string
	// KeepClaims makes Leave end only our side of a static membership: the group
	// learns nothing of it, and gives the claims to the next member of that
	// instance id, or to others when the session times out.
	KeepClaims bool
	// SessionTimeout after which a silent member is taken for dead. Default 10 s.
	SessionTimeout time.Duration
	// Topics whose positions the group commits. Kafka's tools show them, and
	// brokers keep positions of these for as long as the group has members;
	// those of others expire (offsets.retention.minutes) if they do not move.
	Topics []string
	// Metadata is what the assignor learns of this member: opaque here.
	Metadata []byte
	// Assign divides the work, on whichever member the group made its leader:
	// members sorted by id, in; one assignment per member id, out (opaque
	// bytes; a missing one is empty). It must be pure.
	Assign func(members []MemberInfo) map[string][]byte
}

// MemberInfo is what an assignor sees of a member.
//
// What a member may be working on is what its Metadata says it owns, and what
// its Assignment gave it, which it may have taken up since. An assignment that
// no Poll returned before the group moved on is never returned.
type MemberInfo struct {
	ID         string
	InstanceID string
	Metadata   []byte // as last given to Join, Update or Rejoin
	Assignment []byte // the last that the member's Poll returned; empty for a new or lost member
}

// A Member is one membership of a group, kept alive in the background. It
// belongs to one goroutine, Ready excepted.
//
// Rebalances are cooperative: a member keeps what it owns while one is going
// on. A new claim that lacks work owned before asks the member to finish and
// release it, and then to call Rejoin, so that the group can give it to
// another member: an assignor must not give work to a member while another
// one still owns it.
type Member interface {
	// Poll returns the current claim without waiting, and whether it is
	// another one than the last Poll returned.
	// [ErrFenced]: another member took the instance id; final.
	Poll() (Claim, bool, error)
	// Ready receives after the claim may have changed.
	Ready() <-chan struct{}
	// Update sets the metadata that the next rebalance will see, whoever asks
	// for it. A member calls it whenever what it owns changes.
	Update(metadata []byte)
	// Rejoin is Update, and asks the group for a rebalance.
	Rejoin(metadata []byte)
	// Leave ends the membership at once, so that others need not wait for the
	// session to time out; unless KeepClaims says otherwise.
	// Kafka: LeaveGroup (of the member id; the instance id alone may be another's).
	Leave(ctx context.Context) error
}

// A Claim is what a member holds: its assignment under a generation.
type Claim struct {
	GroupClaim
	// Assignment as the assignor made it. Empty before the first one.
	Assignment []byte
	// Lost: the group removed the member (it was silent for too long). All its
	// work may belong to others already; transactions under the old claim fail.
	// It takes no part in the group until it calls Rejoin; the claim after that
	// comes with a new Member.
	Lost bool
}

// An OpenTransaction was begun and has not ended.
type OpenTransaction struct {
	TransactionalID string
	Partitions      []record.Partition
	Since           time.Time
}
