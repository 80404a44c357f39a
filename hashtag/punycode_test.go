package hashtag

import (
	"strings"
	"testing"
)

// The lengths are those of Python's codec of the same name, plus four for xn-- where a label is not ASCII.
func TestWireLen(t *testing.T) {
	for label, want := range map[string]int{
		"example":           7,
		"bücher":            13,
		"日本語":               14,
		"日":                 7,
		"本":                 7,
		"ü":                 7,
		"éa":                9,
		"пример":            12,
		"これはテスト":            16,
		"a日b本c":             15,
		"ليهمابتكلموشعربي؟": 26,
		"他们为什么不说中文":         28,
		"why日":              12,
		"😀":                 8,
		"a😀zzzz":            15,
		"한국어로말하기":           25,
		"ñandú-ü":           15,
		"日é日é日é日é日é日é日é日é日é日é日é日é": 36,
		"a。b．c｡d":                      7,
		"日。本":                          7 + 1 + 7,
		strings.Repeat("a", 64):        64,
		strings.Repeat("日", 64) + "ab": 66,
	} {
		if got := wireLen([]byte(label)); got != want && min(got, want) <= maxLabel {
			t.Errorf("%q has %d bytes on the wire, want %d", label, got, want)
		}
	}
}
