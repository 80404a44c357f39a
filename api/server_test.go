package api_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
	"github.com/tagtide/tagtide/internal/ranking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a server; end tells it to end and waits for what Run returned.
func run(t *testing.T, s *api.Server) (url string, end func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	return "http://" + l.Addr().String(), func() error { cancel(); return <-done }
}

func TestRunServesUntilToldToEnd(t *testing.T) {
	url, end := run(t, api.New(pandemic(), api.Options{}))
	c := client{t, url, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if resp := c.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("still serving after its end")
	}
}

func TestWhatIsNoRequestIsAProblemToo(t *testing.T) {
	url, end := run(t, api.New(pandemic(), api.Options{}))
	for request, status := range map[string]int{
		"GET /api/v1/hashtags/%zz HTTP/1.1\r\nHost: x\r\n\r\n": http.StatusBadRequest,
		"GET /\xff\x00 HTTP/1.1\r\nHost: x\r\n\r\n":            http.StatusBadRequest,
		"nonsense\r\n\r\n":       http.StatusBadRequest,
		"GET / HTTP/1.1\r\n\r\n": http.StatusBadRequest, // no Host
		"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n": http.StatusRequestHeaderFieldsTooLarge,
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n":          http.StatusNotImplemented,
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		client{t: t}.problem(response{resp, string(body)}, status)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestRunReportsAListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := api.New(pandemic(), api.Options{}).Run(t.Context(), l); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// slow counts hold a request until they are let go.
type slow struct {
	*apitest.Counts
	entered, release chan struct{}
}

func (c slow) Top(n int) []ranking.Row {
	close(c.entered)
	<-c.release
	return c.Counts.Top(n)
}

func TestRunLetsAnswersUnderWayFinish(t *testing.T) {
	counts := slow{pandemic(), make(chan struct{}), make(chan struct{})}
	url, end := run(t, api.New(counts, api.Options{}))
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/api/v1/top")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		answered <- err
	}()
	<-counts.entered
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	until(t, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(counts.release)
	if err := <-answered; err != nil {
		t.Errorf("the answer under way was lost: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunEndsInTimeThoughAnExportGoesOn(t *testing.T) {
	counts := &endless{pages: make(chan struct{}, 1<<20)}
	url, end := run(t, api.New(counts, api.Options{ShutdownTimeout: 50 * time.Millisecond}))
	resp, err := http.Get(url + "/api/v1/export")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	go io.Copy(io.Discard, resp.Body)
	if err := end(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// broken counts panic.
type broken struct{ *apitest.Counts }

func (broken) Top(int) []ranking.Row { panic("secret detail") }

func TestABugIsAnInternalProblemAndALogLine(t *testing.T) {
	var log bytes.Buffer
	c := serve(t, broken{pandemic()}, api.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	resp := c.get("/api/v1/top")
	c.problem(resp, http.StatusInternalServerError)
	if strings.Contains(resp.body, "secret") || !strings.Contains(log.String(), "secret detail") {
		t.Errorf("answer %s\nlog %s", resp.body, log.String())
	}
}

func TestHealthDependsOnNothing(t *testing.T) {
	counts := pandemic()
	counts.SetFreshness(api.Freshness{State: api.Disconnected})
	c := serve(t, counts, api.Options{Ready: func() []api.Check { return []api.Check{{Name: "processor"}} }})
	if resp := c.get("/healthz"); resp.StatusCode != http.StatusOK || resp.body != `{"status":"ok"}`+"\n" {
		t.Errorf("%s %s", resp.Status, resp.body)
	}
}

func TestReadyOnceTheCountsWereComplete(t *testing.T) {
	counts := pandemic()
	c := serve(t, counts, api.Options{})
	for _, tc := range []struct {
		f      api.Freshness
		reason string
	}{
		{api.Freshness{State: api.Restoring, Progress: .5}, "counts: restoring, 50 % done"},
		{api.Freshness{State: api.Disconnected}, "counts: never connected"},
		{api.Freshness{State: api.Disconnected, AsOf: noon}, ""},
		{api.Freshness{State: api.Running, AsOf: noon}, ""},
	} {
		counts.SetFreshness(tc.f)
		resp := c.get("/readyz")
		if tc.reason == "" {
			if resp.StatusCode != http.StatusOK || !strings.Contains(resp.body, `"status":"ready"`) {
				t.Errorf("%+v: %s %s", tc.f, resp.Status, resp.body)
			}
			continue
		}
		if p := c.problem(resp, http.StatusServiceUnavailable); p.Detail != tc.reason || len(p.Checks) != 1 {
			t.Errorf("%+v: %s", tc.f, resp.body)
		}
	}
}

func TestReadinessNamesTheCheckThatFails(t *testing.T) {
	c := serve(t, pandemic(), api.Options{Ready: func() []api.Check {
		return []api.Check{{Name: "processor", OK: true}, {Name: "emitter", Detail: "no source"}}
	}})
	p := c.problem(c.get("/readyz"), http.StatusServiceUnavailable)
	if p.Detail != "emitter: no source" || len(p.Checks) != 3 {
		t.Errorf("%+v", p)
	}
}

func TestVersionTellsTheBuild(t *testing.T) {
	c := serve(t, pandemic(), api.Options{Build: api.Build{Version: "v1.2.3", Revision: "abc"}})
	if body := c.get("/version").body; body != `{"version":"v1.2.3","revision":"abc"}`+"\n" {
		t.Error(body)
	}
}
