//go:build web

package webtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
	"github.com/tagtide/tagtide/internal/ranking"
)

// bars are the tags of the chart, rows those of the table, from the top.
const (
	bars = `Array.from(document.querySelectorAll('#top li'), (e) => e.dataset.tag)`
	rows = `Array.from(document.querySelectorAll('#rows tr'), (e) => e.dataset.tag)`
)

func bar(tag string) string {
	return fmt.Sprintf(`document.querySelector('#top li[data-tag=%q]')`, tag)
}

func TestCountsMoveByThemselves(t *testing.T) {
	b, counts := newTab(t), lively()
	b.open(counts, "/")
	b.do(chromedp.Evaluate[chromedp.Void](bar("music") + `.mine = true; void 0`))
	counts.Add("music", 5000)
	counts.Add("newcomer", 4000)
	counts.SetTotals(api.Totals{Posts: 1234567, PostsPerSecond: 99.9})
	b.expect(bars + `.slice(0, 3).join() === 'music,newcomer,covid19'`)
	b.expect(rows + `.slice(0, 3).join() === 'music,newcomer,covid19'`)
	b.expect(`document.querySelector('#posts').textContent === '1,234,567'`)
	b.expect(`document.querySelector('#rate').textContent === '99.9'`)
	for what, expression := range map[string]string{
		"the element stays with its tag":     bar("music") + `.mine`,
		"a bar is as long as its share":      bar("covid19") + `.querySelector('rect').getAttribute('width') === '41.85%'`,
		"the chart says how much it grew":    bar("music") + `.querySelector('.delta').textContent === '+5,000'`,
		"the rank is the place":              bar("covid19") + `.querySelector('.rank').textContent === '3'`,
		"a new bar leads to its own page":    bar("newcomer") + `.querySelector('a').getAttribute('href') === '/hashtags/newcomer'`,
		"a screen reader hears who leads":    `document.querySelector('#announce').textContent.startsWith('music leads')`,
		"the chart still has ten bars":       `document.querySelectorAll('#top li').length === 10`,
		"the table's first row has a share":  `/^\d+\.\d\d %$/.test(document.querySelector('#rows .share').textContent)`,
		"the number of hashtags has grown":   `document.querySelector('#tags').textContent === '341'`,
		"the age of the counts is there too": `document.querySelector('#age').textContent === 'updated just now'`,
	} {
		if !read[bool](b, `Boolean(`+expression+`)`) {
			t.Errorf("not so: %s", what)
		}
	}
}

func TestTagsAreShownAsTheyAreSpelledMost(t *testing.T) {
	b, counts := newTab(t), lively()
	b.open(counts, "/")
	b.expect(bar("covid19") + `.querySelector('bdi').textContent === 'COVID19'`)
	counts.ApplyDisplays([]ranking.Display{{Tag: "covid19", Display: "Covid19"}})
	b.expect(bar("covid19") + `.querySelector('bdi').textContent === 'Covid19'`)
	b.expect(`document.querySelector('#rows tr[data-tag="covid19"] a').textContent === '#Covid19'`)
	if href := read[string](b, bar("covid19")+`.querySelector('a').getAttribute('href')`); href != "/hashtags/covid19" {
		t.Errorf("leads to %s", href)
	}
	b.open(counts, "/hashtags/covid19")
	counts.ApplyDisplays([]ranking.Display{{Tag: "covid19", Display: "CoViD19"}})
	b.expect(`document.querySelector('h1').textContent === '#CoViD19'`)
}

func TestBarsGlideUnlessMotionIsUnwanted(t *testing.T) {
	for preference, glides := range map[string]bool{"no-preference": true, "reduce": false} {
		b, counts := newTab(t), lively()
		b.do(media("prefers-reduced-motion", preference))
		b.open(counts, "/")
		b.do(chromedp.Evaluate[chromedp.Void](`window.glides = 0; const animate = Element.prototype.animate;
			Element.prototype.animate = function (...a) { window.glides++; return animate.apply(this, a); }; void 0`))
		counts.Add("music", 5000)
		b.expect(bars + `[0] === 'music'`)
		if got := read[int](b, `glides`) > 0; got != glides {
			t.Errorf("%s: glides %v", preference, got)
		}
		if drifts := read[string](b, `getComputedStyle(document.querySelector('.waves')).animationName`) == "drift"; drifts != glides {
			t.Errorf("%s: the wave drifts %v", preference, drifts)
		}
	}
}

func TestFocusStaysWhereTheReaderIs(t *testing.T) {
	b, counts := newTab(t), lively()
	b.open(counts, "/")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#rows tr[data-tag="music"] a').focus()`))
	// Others pass it, then it passes them.
	for i, tag := range []string{"friday", "tail299", "music", "sunset"} {
		counts.Add(tag, int64(6000*(i+1)))
		b.expect(rows + fmt.Sprintf(`[0] === %q`, tag))
		if got := read[string](b, `document.activeElement.closest('tr')?.dataset.tag ?? document.activeElement.tagName`); got != "music" {
			t.Errorf("after %s rose, the focus is at %s", tag, got)
		}
	}
	counts.Set("music", 0)
	b.expect(`!` + rows + `.includes('music')`)
	if got := read[string](b, `document.activeElement.id`); got != "all" {
		t.Errorf("after its row has gone, the focus is at %q", got)
	}
}

func TestSearchByKeyboard(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/?cursor=AQpteA")
	b.expect(`!document.querySelector('#pause').hidden`)
	// One event with its text, as a keyboard makes it: KeyEvent would send the
	// text on its own, which a page cannot prevent.
	b.do(command(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Text: "/"}))
	b.expect(`document.activeElement.id === 'q' && document.querySelector('#q').value === ''`)
	b.do(chromedp.KeyEvent("#SO"))
	b.expect(rows + `.join() === 'sourdough,socialdistancing'`)
	if got := read[string](b, `location.search`); got != "?q=%23SO" {
		t.Errorf("the address says %s", got)
	}
	if got := read[string](b, `document.querySelector('#rows .rank').textContent`); got != "27" {
		t.Errorf("the rank among all is %s", got)
	}
	b.do(chromedp.KeyEvent("x/"))
	b.expect(`!document.querySelector('#none').hidden && document.querySelector('#none').innerText === 'No hashtag starts with “#SOx/”.'`)
	b.expect(`document.querySelector('#table').hidden`)
	b.do(chromedp.KeyEvent("\b\b\b\b\b\r"))
	b.expect(rows + `.length === 50 && location.search === ''`)
}

func TestPagingGoesOnAndBack(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	first := read[[]string](b, rows)
	b.do(chromedp.Click(chromedp.CSS("#next")))
	b.expect(rows + `[0] === 'tail010'`)
	second := read[[]string](b, rows)
	if slices.ContainsFunc(second, func(tag string) bool { return slices.Contains(first, tag) }) || len(second) != 50 {
		t.Errorf("the second page repeats the first: %q", second)
	}
	if got := read[string](b, `document.activeElement.id`); got != "all" {
		t.Errorf("the focus is at %q", got)
	}
	b.do(chromedp.Reload())
	b.expect(rows + `[0] === 'tail010' && !document.querySelector('#first').hidden`)
	b.do(chromedp.Click(chromedp.CSS("#first")))
	b.expect(rows + `[0] === 'covid19' && document.querySelector('#first').hidden`)
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.expect(rows + `[0] === 'tail010'`)
}

func TestLastPageHasNoNext(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/?q=tail29")
	b.expect(`!document.querySelector('#pause').hidden && ` + rows + `.length === 10`)
	b.expect(`document.querySelector('#next').hidden`)
}

func TestEverythingIsThereWithoutJavaScript(t *testing.T) {
	b := newTab(t)
	b.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.open(lively(), "/")
	for what, expression := range map[string]string{
		"ten bars":                 `document.querySelectorAll('#top li').length === 10`,
		"a long bar":               `document.querySelector('#top rect').getBoundingClientRect().width > 400`,
		"a shorter bar":            `document.querySelector('#top li:nth-child(2) rect').getBoundingClientRect().width < 400`,
		"fifty rows":               `document.querySelectorAll('#rows tr').length === 50`,
		"the number of posts":      `document.querySelector('#posts').textContent === '19,032'`,
		"no button without a use":  `document.querySelector('#pause').hidden && document.querySelector('#theme').hidden`,
		"a refresh of its own":     `document.querySelector('noscript meta[http-equiv="refresh"]')`,
		"a link to the next page":  `document.querySelector('#next').href.includes('cursor=')`,
		"links to the whole table": `document.querySelectorAll('.downloads a').length === 2`,
	} {
		if !read[bool](b, `Boolean(`+expression+`)`) {
			t.Errorf("without JavaScript the page lacks %s", what)
		}
	}
	b.do(chromedp.Click(chromedp.CSS("#q")), chromedp.KeyEvent("COV\r"))
	b.expect(`location.search === '?q=COV' && ` + rows + `.join() === 'covid19'`)
	b.do(chromedp.Click(chromedp.CSS(".brand")))
	b.expect(`location.search === '' && document.querySelector('#next')`)
	b.do(chromedp.Click(chromedp.CSS("#next")))
	b.expect(rows + `[0] === 'tail010'`)
	b.do(chromedp.Click(chromedp.CSS("#rows a")))
	b.expect(`location.pathname === '/hashtags/tail010' && document.querySelector('#one-count').textContent === '58'`)
}

// background is the colour behind the page, as brightness from 0 to 255.
func (b *tab) background() int {
	b.t.Helper()
	return read[int](b, `Math.round(getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, v) => a + Number(v), 0) / 3)`)
}

func TestThemeFollowsTheSystemUntilOneIsChosen(t *testing.T) {
	b := newTab(t)
	b.do(media("prefers-color-scheme", "dark"))
	b.open(lively(), "/")
	if got := b.background(); got > 60 {
		t.Errorf("dark system, brightness %d", got)
	}
	b.do(media("prefers-color-scheme", "light"))
	if got := b.background(); got < 200 {
		t.Errorf("light system, brightness %d", got)
	}
	b.expect(`document.querySelector('#theme-text').textContent === 'Dark'`)
	b.do(chromedp.Click(chromedp.CSS("#theme")))
	if got := b.background(); got > 60 {
		t.Errorf("dark chosen, brightness %d", got)
	}
	b.do(chromedp.Reload())
	b.expect(`document.querySelector('#theme-text').textContent === 'Light'`)
	if got := b.background(); got > 60 {
		t.Errorf("dark chosen before, brightness %d", got)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`localStorage.clear()`))
}

// counted is a server that counts what is asked of its API.
func (b *tab) counted(counts api.Counts) *atomic.Int64 {
	b.t.Helper()
	var asked atomic.Int64
	h := api.New(counts, api.Options{}).Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			asked.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	b.t.Cleanup(srv.Close)
	b.do(chromedp.Navigate(srv.URL))
	return &asked
}

// quiet asserts that the page asks for nothing for three of its periods, by
// its own clock.
func (b *tab) quiet(asked *atomic.Int64) {
	b.t.Helper()
	before := asked.Load()
	read[bool](b, `new Promise((done) => setTimeout(done, 3100, true))`)
	if after := asked.Load(); after != before {
		b.t.Errorf("the page asked %d times while it should rest", after-before)
	}
}

func TestPauseRestsAndResumes(t *testing.T) {
	b, counts := newTab(t), lively()
	asked := b.counted(counts)
	b.expect(`!document.querySelector('#pause').hidden`)
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.expect(`document.querySelector('#status-text').textContent === 'Paused'`)
	counts.Add("music", 5000)
	b.quiet(asked)
	if read[bool](b, bars+`[0] === 'music'`) || read[string](b, `getComputedStyle(document.querySelector('.waves')).animationPlayState`) != "paused" {
		t.Error("the page moved while it was paused")
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.expect(bars + `[0] === 'music' && document.querySelector('#status-text').textContent === 'Live'`)
}

func TestHiddenPageRests(t *testing.T) {
	b, counts := newTab(t), lively()
	asked := b.counted(counts)
	hide := `Object.defineProperty(document, 'hidden', { value: %v, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); true`
	read[bool](b, fmt.Sprintf(hide, true))
	// What is under way may still be answered; nothing follows it.
	b.expect(`performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/')).length >= 3`)
	b.quiet(asked)
	counts.Add("music", 5000)
	read[bool](b, fmt.Sprintf(hide, false))
	b.expect(bars + `[0] === 'music'`)
}

func TestTagsOfAnyScriptKeepTheirPlace(t *testing.T) {
	b, counts := newTab(t), lively()
	counts.Add("كورونا", 9000)
	b.open(counts, "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	li := bar("كورونا")
	for what, expression := range map[string]string{
		"the hash stands before the tag":      li + `.querySelector('.hash').getBoundingClientRect().right <= ` + li + `.querySelector('bdi').getBoundingClientRect().left + 1`,
		"the count stands at the right":       li + `.querySelector('.count').getBoundingClientRect().left > ` + li + `.querySelector('bdi').getBoundingClientRect().right`,
		"the count is read from the left":     li + `.querySelector('.count').textContent === '9,718'`,
		"the tag is set from right to left":   `getComputedStyle(` + li + `.querySelector('bdi')).unicodeBidi === 'isolate'`,
		"the link leads to the tag, encoded":  li + `.querySelector('a').href.endsWith('/hashtags/' + encodeURIComponent('كورونا'))`,
		"the search box takes the tag's side": `document.querySelector('#q').dir === 'auto'`,
	} {
		if !read[bool](b, `Boolean(`+expression+`)`) {
			t.Errorf("not so: %s", what)
		}
	}
}

func TestAwkwardTagsStayText(t *testing.T) {
	b, counts := newTab(t), new(apitest.Counts)
	for i, tag := range []string{`<img src=x onerror=alert(1)>`, `"quoted"`, `a/b?c#d%41`, `{{.}}`} {
		counts.Add(tag, int64(10-i))
	}
	b.open(counts, "/")
	counts.Add(`<i>later</i>`, 20)
	b.expect(`document.querySelector('#top bdi').textContent === '<i>later</i>'`)
	if n := read[int](b, `document.querySelectorAll('main img, main i').length`); n != 0 {
		t.Errorf("%d elements out of tags", n)
	}
	b.do(chromedp.Click(chromedp.JSPath(bar(`a/b?c#d%41`) + `.querySelector('a')`)))
	b.expect(`document.querySelector('h1 bdi').textContent === 'a/b?c#d%41' && document.querySelector('#one-count').textContent === '8'`)
}

func TestHashtagPageMoves(t *testing.T) {
	b, counts := newTab(t), lively()
	b.open(counts, "/hashtags/%23COVID19")
	b.expect(`!document.querySelector('#one-figure').hidden`)
	counts.Add("covid19", 1000)
	b.expect(`document.querySelector('#one-count').textContent === '3,513' && document.querySelector('#one-delta').textContent === '+1,000'`)
}

func TestStatesAreTold(t *testing.T) {
	b, counts := newTab(t), new(apitest.Counts)
	b.open(counts, "/")
	b.expect(`document.querySelector('#empty').innerText === 'Waiting for the first post.'`)
	counts.Add("first", 1)
	b.expect(`document.querySelector('#empty').hidden && ` + bars + `.join() === 'first'`)

	counts.SetFreshness(api.Freshness{State: api.Restoring, Progress: .42})
	b.expect(`document.querySelector('#status-text').textContent === 'Restoring, 42 %' && document.querySelector('#banner-progress').value === 42`)

	counts.SetFreshness(api.Freshness{State: api.Disconnected, AsOf: time.Now().Add(-time.Hour)})
	b.expect(`document.querySelector('#status-text').textContent === 'Disconnected' && document.querySelector('#banner').innerText.includes('do not move')`)
	b.expect(`document.querySelector('#banner-progress').hidden`)

	counts.SetFreshness(api.Freshness{State: api.Running, AsOf: time.Now().Add(time.Hour), Lag: 1203, LagKnown: true})
	b.expect(`document.querySelector('#banner').hidden && document.querySelector('#status-text').textContent === 'Live, 1,203 behind'`)
}

func TestAgeIsThatOfTheCountsNotOfThePage(t *testing.T) {
	b, counts := newTab(t), lively()
	counts.SetFreshness(api.Freshness{State: api.Disconnected, AsOf: time.Now().Add(-10 * time.Minute)})
	b.open(counts, "/")
	b.expect(`!document.querySelector('#pause').hidden && document.querySelector('#age').textContent === 'updated 10 min ago'`)
}

func TestServerThatDoesNotAnswerIsTold(t *testing.T) {
	b := newTab(t)
	srv := b.open(lively(), "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	srv.CloseClientConnections()
	srv.Close()
	b.expect(`document.querySelector('#status').dataset.state === 'unreachable' && !document.querySelector('#banner').hidden`)
	b.expect(bars + `[0] === 'covid19'`)
	b.do(chromedp.Navigate("about:blank"))
	b.forgive("network") // each question that failed
}
