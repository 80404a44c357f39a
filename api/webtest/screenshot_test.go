//go:build web

package webtest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var (
	update = flag.Bool("update", false, "write the screenshot of the README")
	target = flag.String("url", "", "with -update: the running program to show, instead of made-up counts")
)

const screenshot = "../../docs/images/page.png"

// TestScreenshot takes the picture; only -update puts it into the README.
func TestScreenshot(t *testing.T) {
	b := newTab(t)
	b.do(chromedp.EmulateViewport(1280, 980, chromedp.EmulateScale(1.5)),
		media("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce")) // no row caught on its way
	if *target != "" {
		b.do(chromedp.Navigate(*target))
	} else {
		counts := lively()
		stir(t, counts)
		b.open(counts, "/")
	}
	b.expect(bars + `.length === 10`)
	// Long enough for the line of posts per second to be one.
	b.expect(`document.querySelector('#spark .line').getAttribute('d')?.split('L').length > 8`)
	png := b.capture()
	if len(png) < 50_000 {
		t.Errorf("the page is suspiciously empty: %d bytes", len(png))
	}
	if !*update {
		return
	}
	if err := os.MkdirAll(filepath.Dir(screenshot), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(screenshot, png, 0o644); err != nil {
		t.Fatal(err)
	}
}
