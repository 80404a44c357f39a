package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/tagtide/tagtide/stream"
)

// brokerFlags say where a Kafka is, and who we are to it.
type brokerFlags struct {
	Brokers          brokerList `help:"A Kafka: addresses of some of its brokers." placeholder:"HOST:PORT,…"`
	TLS              bool       `name:"tls" help:"Encrypt connections to the brokers."`
	TLSCA            string     `name:"tls-ca" help:"PEM file with the authorities that brokers' certificates are signed by (default: the system's)." placeholder:"FILE"`
	TLSCert          string     `name:"tls-cert" help:"PEM file with our certificate, for brokers that ask for one." placeholder:"FILE"`
	TLSKey           string     `name:"tls-key" help:"PEM file with the key of --tls-cert." placeholder:"FILE"`
	SASL             string     `name:"sasl" help:"How we prove who we are: plain, scram-sha-256 or scram-sha-512." placeholder:"MECHANISM"`
	SASLUser         string     `name:"sasl-user" help:"Our name." placeholder:"NAME"`
	SASLPasswordFile string     `name:"sasl-password-file" help:"File with our password." placeholder:"FILE"`
	Compression      string     `help:"Of what is written to the brokers: none, lz4, zstd, snappy or gzip." enum:"none,lz4,zstd,snappy,gzip" default:"lz4"`
}

// brokerList is addresses of brokers.
type brokerList []string

// UnmarshalText is called by the parser, once for each time the flag is given.
// An empty value is none of an address, and must not be taken for the lack of
// the flag: whoever means a Kafka would be given the embedded log.
func (l *brokerList) UnmarshalText(text []byte) error {
	for address := range strings.SplitSeq(string(text), ",") {
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" || n == 0 {
			return fmt.Errorf("%q is not HOST:PORT", address)
		}
		*l = append(*l, address)
	}
	return nil
}

// validate finds flags that do not go together. Commands that work nowhere but
// on a Kafka need one.
func (f *brokerFlags) validate(needed bool) error {
	switch {
	case len(f.Brokers) == 0 && needed:
		return usagef("--brokers HOST:PORT,… is needed: the address of a Kafka (`tagtide broker` is one for development)")
	case len(f.Brokers) == 0 && (f.tls() || f.SASL != "" || f.SASLUser != "" || f.SASLPasswordFile != ""):
		return usagef("--tls… and --sasl… go with --brokers")
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return usagef("--tls-cert and --tls-key go together")
	case f.SASL == "" && (f.SASLUser != "" || f.SASLPasswordFile != ""):
		return usagef("--sasl-user and --sasl-password-file go with --sasl")
	case f.SASL != "" && (f.SASLUser == "" || f.SASLPasswordFile == ""):
		return usagef("--sasl needs --sasl-user and --sasl-password-file")
	}
	switch f.SASL {
	case "", "plain", "scram-sha-256", "scram-sha-512":
		return nil
	}
	return usagef("--sasl %s: choose one of plain, scram-sha-256, scram-sha-512", f.SASL)
}

func (f *brokerFlags) tls() bool {
	return f.TLS || f.TLSCA != "" || f.TLSCert != "" || f.TLSKey != ""
}

// open connects.
func (f *brokerFlags) open(ctx context.Context, logger *slog.Logger) (*stream.Log, error) {
	o := stream.KafkaOptions{Brokers: f.Brokers, SASL: f.SASL, User: f.SASLUser, Compression: f.Compression, Logger: logger}
	var err error
	if o.TLS, err = f.tlsConfig(); err != nil {
		return nil, err
	}
	if f.SASLPasswordFile != "" {
		password, err := os.ReadFile(f.SASLPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--sasl-password-file: %w", err)
		}
		o.Password = strings.TrimRight(string(password), "\r\n")
	}
	l, err := stream.OpenKafka(ctx, o)
	if errors.Is(err, stream.ErrUnavailable) {
		err = fmt.Errorf("%w\n--brokers %s: is a Kafka there, does it run, and can it be reached from here?", err, strings.Join(f.Brokers, ","))
	}
	return l, err
}

// tlsConfig is nil without TLS.
func (f *brokerFlags) tlsConfig() (*tls.Config, error) {
	if !f.tls() {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.TLSCA != "" {
		pem, err := os.ReadFile(f.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s has no certificate in PEM", f.TLSCA)
		}
	}
	if f.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
