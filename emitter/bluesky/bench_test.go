package bluesky

import (
	"encoding/json"
	"testing"
)

// What looking at a frame costs before it is decoded, beside encoding/json.
func BenchmarkParseFrame(b *testing.B) {
	frames := samples(b)
	for name, look := range map[string]func(frame []byte){
		"ours":          func(f []byte) { parseFrame(f) },
		"encoding-json": func(f []byte) { _ = json.Unmarshal(f, new(map[string]json.RawMessage)) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, f := range frames {
					look([]byte(f))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/frame")
		})
	}
}
