package kafkalog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Options say where a Kafka is and how to speak to it. Brokers are required;
// the rest has a good zero value.
type Options struct {
	// Brokers are addresses, host:port, of some brokers of the cluster. The
	// others are learnt from these.
	Brokers []string
	// TLS encrypts connections. nil: they are not encrypted.
	TLS *tls.Config
	// SASL says who we are. The zero value: nobody.
	SASL SASL
	// ClientID is the name under which brokers log us. Default "tagtide".
	ClientID string
	// Compression of what is written. Default: none. What is read may be
	// compressed in any way.
	Compression Compression
	// Dial opens connections, beneath TLS. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger receives what happens on the wire. Default: nothing is logged.
	Logger *slog.Logger
	// Timeout after which a call gives up with log.ErrUnavailable, unless its
	// context ends before. Default 15 s.
	Timeout time.Duration
	// TransactionTimeout after which brokers abort a transaction that nobody
	// ended. Default 10 s.
	TransactionTimeout time.Duration
}

// SASL is a user's way to prove itself.
type SASL struct {
	Mechanism Mechanism
	User      string
	Password  string
}

// A Mechanism is a way to prove who one is. "": none is used.
type Mechanism string

// The mechanisms.
const (
	Plain       Mechanism = "plain" // tells the password: only over TLS
	ScramSHA256 Mechanism = "scram-sha-256"
	ScramSHA512 Mechanism = "scram-sha-512"
)

// Compression names a codec. "" is [None].
type Compression string

// The codecs.
const (
	None   Compression = "none"
	Gzip   Compression = "gzip"
	Snappy Compression = "snappy"
	LZ4    Compression = "lz4"
	Zstd   Compression = "zstd"
)

// codecs are the numbers of the codecs in a batch's attributes.
var codecs = map[Compression]sarama.CompressionCodec{
	None: sarama.CompressionNone, Gzip: sarama.CompressionGZIP, Snappy: sarama.CompressionSnappy,
	LZ4: sarama.CompressionLZ4, Zstd: sarama.CompressionZSTD,
}

func (o Options) withDefaults() Options {
	if o.ClientID == "" {
		o.ClientID = "tagtide"
	}
	if o.Compression == "" {
		o.Compression = None
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.TransactionTimeout <= 0 {
		o.TransactionTimeout = 10 * time.Second
	}
	return o
}

// validate finds all faults at once.
func (o Options) validate() error {
	var faults []error
	if len(o.Brokers) == 0 {
		faults = append(faults, errors.New("no brokers are given"))
	}
	for _, b := range o.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			faults = append(faults, fmt.Errorf("broker %q is not host:port", b))
		}
	}
	switch m := o.SASL.Mechanism; {
	case m != "" && m != Plain && m != ScramSHA256 && m != ScramSHA512:
		faults = append(faults, fmt.Errorf("sasl mechanism %q is none of plain, scram-sha-256, scram-sha-512", m))
	case m != "" && o.SASL.User == "":
		faults = append(faults, fmt.Errorf("sasl mechanism %s needs a user", m))
	}
	if _, ok := codecs[o.Compression]; !ok {
		faults = append(faults, fmt.Errorf("compression %q is none of none, gzip, snappy, lz4, zstd", o.Compression))
	}
	return errors.Join(faults...)
}

// saramaConfig is what connections have in common. Each gets a dialer of its own.
func (o Options) saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.ClientID = o.ClientID
	c.Net.DialTimeout = o.Timeout
	c.Net.WriteTimeout = o.Timeout
	c.Net.Proxy.Enable = true
	if m := o.SASL.Mechanism; m != "" {
		c.Net.SASL.Enable = true
		c.Net.SASL.Mechanism = sarama.SASLMechanism(strings.ToUpper(string(m)))
		c.Net.SASL.User, c.Net.SASL.Password = o.SASL.User, o.SASL.Password
		c.Net.SASL.SCRAMClientGeneratorFunc = m.scram
	}
	return c
}
