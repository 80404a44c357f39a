package kafkalog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Whoever cannot be connected to is named, with what is wrong and what to do.
func TestOpenSaysWhyNot(t *testing.T) {
	plain := fake(t, kfake.NumBrokers(1))[0]
	cert, pool := certificate(t)
	secure := fake(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))[0]
	guarded := fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "admin", "right"))[0]
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, c := range map[string]struct {
		addr string
		o    Options
		says []string
	}{
		"nobody listens":          {addr: unused(t), says: []string{"connection refused"}},
		"nobody answers":          {addr: mute(t), o: Options{Timeout: 200 * time.Millisecond}, says: []string{"no answer"}},
		"a web server that waits": {addr: web.Listener.Addr().String(), o: Options{Timeout: time.Second}, says: []string{"may be no Kafka"}},
		"a web server":            {addr: babble(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), says: []string{"HTTP", "check host and port"}},
		"garbage":                 {addr: babble(t, "hello, who are you?\r\n"), says: []string{"no Kafka", "check host and port"}},
		"TLS answers in clear":    {addr: babble(t, "\x15\x03\x03\x00\x02\x02\x0a"), says: []string{"turn TLS on"}},
		"TLS is missing":          {addr: secure, says: []string{"turn TLS on"}},
		"TLS is too much":         {addr: plain, o: Options{TLS: &tls.Config{RootCAs: pool}, Timeout: time.Second}, says: []string{"TLS"}},
		"an unknown authority":    {addr: secure, o: Options{TLS: &tls.Config{}}, says: []string{"certificate"}},
		"a wrong password":        {addr: guarded, o: as(ScramSHA256, "admin", "wrong"), says: []string{`user "admin"`, "scram-sha-256", "password"}},
		"a wrong mechanism":       {addr: guarded, o: as(ScramSHA512, "admin", "right"), says: []string{`user "admin"`, "scram-sha-512"}},
		"a user nobody asked for": {addr: plain, o: as(Plain, "admin", "right"), says: []string{`user "admin"`}},
		"nobody where a user is":  {addr: guarded, o: Options{Timeout: time.Second}, says: []string{"SASL"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			c.o.Brokers = []string{c.addr}
			l, err := Open(context.Background(), c.o)
			if err == nil {
				l.Close()
				t.Fatal("it opened")
			}
			for _, want := range append(c.says, c.addr) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

// Whoever may come in does, by every way there is.
func TestOpenLetsIn(t *testing.T) {
	cert, pool := certificate(t)
	secured := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}})
	for _, m := range []Mechanism{Plain, ScramSHA256, ScramSHA512} {
		t.Run(string(m), func(t *testing.T) {
			user := kfake.Superuser(strings.ToUpper(string(m)), "admin", "right")
			o := as(m, "admin", "right")
			o.Brokers = fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), user, secured)
			o.TLS = &tls.Config{RootCAs: pool}
			l := open(t, o)
			if _, err := l.Topics(context.Background()); err != nil {
				t.Error(err)
			}
			if l.ID() == "" {
				t.Error("the cluster has no id")
			}
		})
	}
}

// One broker that is there is enough.
func TestOpenTriesAllBrokers(t *testing.T) {
	there := fake(t, kfake.NumBrokers(3))
	open(t, Options{Brokers: []string{unused(t), there[1]}})
}

func TestOptionsNameAllFaultsAtOnce(t *testing.T) {
	_, err := Open(context.Background(), Options{
		Brokers: []string{"localhost"}, SASL: SASL{Mechanism: "kerberos"}, Compression: "brotli",
	})
	if err == nil {
		t.Fatal("opened")
	}
	for _, want := range []string{`"localhost"`, `"kerberos"`, `"brotli"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %s", err, want)
		}
	}
}

func as(m Mechanism, user, password string) Options {
	return Options{SASL: SASL{Mechanism: m, User: user, Password: password}, Timeout: 5 * time.Second}
}

// certificate is one for this machine, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

// unused is an address where nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// mute is an address where nobody answers.
func mute(t *testing.T) string {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// babble is an address where a server says one thing.
func babble(t *testing.T, says string) string {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, says)
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
