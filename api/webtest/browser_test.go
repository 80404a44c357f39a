//go:build web

package webtest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tagtide/tagtide/api"
)

// browser is the one Chromium of all tests; each test has a tab of its own.
var browser context.Context

func TestMain(m *testing.M) {
	os.Exit(withBrowser(m.Run))
}

func withBrowser(run func() int) int {
	chrome, err := findChrome()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	profile, err := os.MkdirTemp("", "webtest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(profile)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), chromeFlags(chrome, profile)...)
	defer stop()
	ctx, quit := chromedp.NewContext(allocator)
	defer quit()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "start %s: %v\n", chrome, err)
		return 1
	}
	browser = ctx
	return run()
}

func chromeFlags(chrome, profile string) []chromedp.ExecAllocatorOption {
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(chrome), chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900)}
	for _, name := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "hide-scrollbars", "mute-audio", "disable-dev-shm-usage"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	return append(flags, chromedp.Flag("lang", "en-US"))
}

func findChrome() (string, error) {
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("these tests need Chromium: install it (Debian: apt-get install chromium), or set CHROME to its path")
}

// A tab shows one page. At the end of its test it must have met no error: no
// failed request, no exception, no console error, no breach of the CSP.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

func newTab(t *testing.T) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		closeTab()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.errors {
			t.Errorf("the page met an error: %s", e)
		}
	})
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(1280, 900), media("prefers-color-scheme", "light"))
	return b
}

func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			b.note(fmt.Sprintf("%s %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.note(fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.note("console." + e.Type.String())
		}
	}
}

func (b *tab) note(e string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, e)
}

// forgive takes back the errors that a test has provoked.
func (b *tab) forgive(substring string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kept []string
	for _, e := range b.errors {
		if !strings.Contains(e, substring) {
			kept = append(kept, e)
		}
	}
	b.errors = kept
}

// An act does something in a tab.
type act = chromedp.Action[chromedp.Void]

const patience = 20 * time.Second

func (b *tab) do(acts ...act) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, acts...); err != nil {
		b.t.Fatal(err)
	}
}

// open shows a page of a new server and returns the server.
func (b *tab) open(counts api.Counts, path string) *httptest.Server {
	b.t.Helper()
	srv := httptest.NewServer(api.New(counts, api.Options{}).Handler())
	b.t.Cleanup(srv.Close)
	b.do(chromedp.Navigate(srv.URL + path))
	return srv
}

func evaluate[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// read evaluates an expression in the page.
func read[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := evaluate[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// expect waits until an expression is true in the page, or in the one that
// comes after it.
func (b *tab) expect(expression string) {
	b.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var holds bool
		if holds, err = evaluate[bool](b, "Boolean("+expression+")"); holds {
			return
		}
	}
	shown, _ := evaluate[string](b, `location.href + '\n' + document.body.innerText.slice(0, 800)`)
	b.t.Fatalf("not so: %s (%v)\nthe page shows: %s", expression, err, shown)
}

// media sets what the reader prefers: name and value, name and value, …
func media(pairs ...string) act {
	var p emulation.SetEmulatedMediaParams
	for i := 0; i < len(pairs); i += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	return command(emulation.SetEmulatedMedia, p)
}

// command makes a command of the DevTools protocol an act.
func command[P, R any](c cdp.Command[P, R], p P) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

func (b *tab) capture() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
