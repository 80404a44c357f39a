package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/roster"
)

// What must never be logged: in the fakes' posts, and in the files with tokens.
const (
	secretText   = "zebracrossing"
	secretAuthor = "quincyadams"
	secretToken  = "hushhushtoken"
)

// stream answers with what is sent to it, until the client goes.
func streamOf(w http.ResponseWriter, r *http.Request, messages ...string) {
	for _, m := range messages {
		_, _ = io.WriteString(w, m)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// serveFake serves JSON, unless a handler says otherwise.
func serveFake(t *testing.T, mux *http.ServeMux) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// host is the name of a fake.
func host(s *httptest.Server) string { return s.Listener.Addr().String() }

// fakeMastodon streams one post, one that is damaged, and nothing more.
func fakeMastodon(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/instance", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"domain":"fake.example","version":"4.5.0","configuration":{"urls":{}}}`)
	})
	mux.HandleFunc("GET /api/v1/timelines/public", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "[]") })
	mux.HandleFunc("GET /api/v1/streaming/public", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secretToken {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"Invalid access token"}`)
			return
		}
		status := fmt.Sprintf(`{"id":"115000000000000001","created_at":%q,"visibility":"public","uri":"https://fake.example/users/%s/statuses/1","content":"<p>%s <a class=\"mention hashtag\" rel=\"tag\">#<span>FromMastodon</span></a></p>","reblog":null,"account":{"username":"%[2]s","acct":"%[2]s"},"tags":[{"name":"frommastodon"}]}`,
			time.Now().UTC().Format(time.RFC3339), secretAuthor, secretText)
		w.Header().Set("Content-Type", "text/event-stream")
		damaged := strings.Replace(status, `"tags":[`, `"tags":[7,`, 1)
		streamOf(w, r, ":)\n", "event: update\ndata: "+status+"\n\n", "event: update\ndata: "+damaged+"\n\n")
	})
	return serveFake(t, mux)
}

// fakeX takes any rule, and streams one post and one that is damaged.
func fakeX(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	var rules []map[string]string
	mux.HandleFunc("/2/tweets/search/stream/rules", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var change struct{ Add []map[string]string }
			_ = json.NewDecoder(r.Body).Decode(&change)
			for i, rule := range change.Add {
				rule["id"] = fmt.Sprint(i + 1)
				rules = append(rules, rule)
			}
			w.WriteHeader(http.StatusCreated)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": rules, "meta": map[string]any{"summary": map[string]int{"created": len(rules)}}})
	})
	mux.HandleFunc("GET /2/tweets/search/stream", func(w http.ResponseWriter, r *http.Request) {
		line := fmt.Sprintf(`{"data":{"id":"1","author_id":%q,"text":"%s pandemic #FromX","created_at":%q,"entities":{"hashtags":[{"tag":"FromX"}]}}}`,
			secretAuthor, secretText, time.Now().UTC().Format(time.RFC3339))
		streamOf(w, r, line+"\r\n", strings.Replace(line, `"tag":"FromX"`, `"tag":7`, 1)+"\r\n")
	})
	return serveFake(t, mux)
}

// tokenFile holds the secret.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Four sources in one process: two networks that work, one that cannot be
// reached and one that refuses the token. Each has its own state, and nothing
// that was said, no one who said it, and no token is in the log or in an answer.
func TestEverySourceHasItsOwnStateAndNoSecretsAreTold(t *testing.T) {
	good, bad, x := fakeMastodon(t), fakeMastodon(t), fakeX(t)
	p := launch(t, "run", "--listen", "127.0.0.1:0", "--log-level", "debug", "--data-dir", t.TempDir(), "--track", "pandemic", "--track", secretText,
		"--source", "mastodon", "--source", "x", "--source", "bluesky",
		"--server", "mastodon="+good.URL, "--server", "mastodon="+bad.URL, "--server", "x="+x.URL, "--server", "bluesky=ws://127.0.0.1:1/subscribe",
		"--token-file", good.URL+"="+tokenFile(t, secretToken), "--token-file", bad.URL+"="+tokenFile(t, secretToken+"2"), "--token-file", "x="+tokenFile(t, secretToken))
	url := p.said(`page on (http://\S+)`)
	eventually(t, url, "both posts and both dead letters", 30*time.Second, func(s stats) bool { return s.Data.Posts == 2 && s.Data.DeadLetters == 2 })
	p.said(`level=(ERROR) msg="a source has stopped`)
	p.said(`(source=bluesky)`)
	sources := map[string]roster.Source{}
	for _, s := range pipelineSources(t, url) {
		sources[s.Source+" "+s.Server] = s
	}
	for name, want := range map[string]string{
		"mastodon " + host(good): "connected", "mastodon " + host(bad): "stopped", "x ": "connected", "bluesky ": "",
	} {
		s := sources[name]
		if want != "" && s.State != want || want == "" && (s.State == "connected" || s.State == "stopped") || s.Since.IsZero() {
			t.Errorf("%s: %+v, want %s", name, s, want)
		}
		if s.State == "connected" && (s.Heard.IsZero() || s.Peer == "" || s.Posts != 1 || s.Bad != 1) || s.State == "stopped" && s.Problem == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	metrics := body(t, url+"/metrics")
	for _, line := range []string{
		fmt.Sprintf("tagtide_source_connected{server=%q,source=\"mastodon\"} 1", host(good)), `tagtide_source_connected{server="",source="x"} 1`,
		fmt.Sprintf("tagtide_source_connected{server=%q,source=\"mastodon\"} 0", host(bad)), `tagtide_source_connected{server="",source="bluesky"} 0`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s", line)
		}
	}
	told := body(t, url+"/api/v1/pipeline") + metrics + body(t, url+"/api/v1/export")
	p.stop()
	for _, secret := range []string{secretText, secretAuthor, secretToken} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
		if strings.Contains(told, secret) {
			t.Errorf("%s is in an answer", secret)
		}
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	answer, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func pipelineSources(t *testing.T, url string) []roster.Source {
	t.Helper()
	var answer struct {
		Data struct{ Instances []roster.Instance }
	}
	if err := getJSON(t.Context(), url+"/api/v1/pipeline", &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Instances[0].Sources
}

// Alone, a source that wants something mended ends the command.
func TestARefusedTokenEndsTheCommand(t *testing.T) {
	server := fakeMastodon(t)
	code, _, stderr := do(t, "", "run", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--source", "mastodon", "--server", server.URL, "--token-file", tokenFile(t, "wrong"))
	if code != exitFailed || !strings.Contains(stderr, "tagtide: ") || strings.Contains(stderr, "wrong") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
