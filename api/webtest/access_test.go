//go:build web

package webtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"github.com/tagtide/tagtide/api"
)

var longTag = strings.Repeat("verylong", 20)

// faint lists all text whose contrast to what is behind it is below 4.5 : 1,
// or 3 : 1 for large text.
const faint = `(() => {
  const parse = (s) => { const v = s.match(/[\d.]+/g).map(Number); return s.startsWith('color(srgb') ? [v[0] * 255, v[1] * 255, v[2] * 255, v[3] ?? 1] : [v[0], v[1], v[2], v[3] ?? 1]; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const ground = (el) => {
    if (!el) return [255, 255, 255];
    const fill = el.matches('.bars li') && el.querySelector('rect'), style = getComputedStyle(el);
    return over(parse(fill ? getComputedStyle(fill).fill : style.backgroundColor), ground(el.parentElement));
  };
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const el = node.parentElement;
    if (!node.textContent.trim() || !el.checkVisibility() || el.closest('.unseen, .skip, script, noscript, template')) continue;
    const style = getComputedStyle(el), behind = ground(el);
    const ink = over(parse(style.color), behind).map((v, i) => v * style.opacity + behind[i] * (1 - style.opacity));
    const [a, b] = [light(ink), light(behind)].sort((x, y) => y - x), contrast = (a + .05) / (b + .05);
    const large = parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) found.push(contrast.toFixed(2) + ' ' + (el.id || el.className || el.tagName) + ': ' + node.textContent.trim().slice(0, 30));
  }
  return found.slice(0, 12);
})()`

func TestTextIsReadableInBothThemes(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		for _, path := range []string{"/", "/hashtags/covid19", "/?q=nothing"} {
			b, counts := newTab(t), lively()
			b.do(media("prefers-color-scheme", scheme))
			counts.SetFreshness(api.Freshness{State: api.Disconnected, AsOf: time.Now()})
			b.open(counts, path)
			b.expect(`!document.querySelector('#pause').hidden`)
			counts.Add("covid19", 10) // so that the chart says how much it grew
			b.expect(`location.pathname !== '/' || document.querySelector('#top .delta').textContent === '+10'`)
			for _, text := range read[[]string](b, faint) {
				t.Errorf("%s %s: %s", scheme, path, text)
			}
		}
	}
}

func TestScreenReadersFindTheirWay(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	tree, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, node := range tree.Nodes {
		if node.Role == nil || node.Name == nil || node.Ignored {
			continue
		}
		role, name := string(node.Role.Value), string(node.Name.Value)
		found[role+" "+name] = true
		if name == `""` && (role == `"link"` || role == `"button"` || role == `"searchbox"` || role == `"image"`) {
			t.Errorf("a %s has no name", role)
		}
	}
	for _, want := range []string{`"banner" ""`, `"main" ""`, `"contentinfo" ""`, `"search" ""`, `"searchbox" "Hashtags that start with"`,
		`"region" "Top ten"`, `"region" "All hashtags"`, `"navigation" "Pages"`, `"navigation" "Data"`, `"heading" "Top ten"`,
		`"table" "Hashtags by number of uses, most used first"`, `"columnheader" "Uses"`, `"rowheader" "#COVID19"`, `"link" "#COVID19"`, `"button" "Pause"`} {
		if !found[want] {
			t.Errorf("the accessibility tree lacks %s", want)
		}
	}
}

func TestEverythingToPressIsLargeEnough(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	small := read[[]string](b, `Array.from(document.querySelectorAll('a, button, input')).filter((e) => e.checkVisibility() && !e.closest('.skip'))
		.filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.outerHTML.slice(0, 80))`)
	for _, e := range small {
		t.Errorf("lower than 24 pixels: %s", e)
	}
}

func TestNarrowScreensNeedNoSidewaysScrolling(t *testing.T) {
	for _, path := range []string{"/", "/hashtags/" + longTag, "/nothing-here"} {
		b, counts := newTab(t), lively()
		counts.Add(longTag, 9999999)
		b.do(chromedp.EmulateViewport(320, 640))
		b.open(counts, path)
		if got := read[int](b, `document.documentElement.scrollWidth`); got > 320 {
			t.Errorf("%s is %d pixels wide", path, got)
		}
		b.forgive("404")
	}
}

func TestKeyboardReachesEverythingInOrder(t *testing.T) {
	b := newTab(t)
	b.open(lively(), "/")
	b.expect(`!document.querySelector('#pause').hidden`)
	for _, want := range []string{"Skip to the hashtags", "tagtide", "Pause", "Dark", "#COVID19"} {
		b.do(chromedp.KeyEvent("\t"))
		if got := read[string](b, `document.activeElement.innerText.trim()`); got != want {
			t.Fatalf("the tab key leads to %q, want %q", got, want)
		}
	}
	if outline := read[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
		t.Error("the focus cannot be seen")
	}
}
