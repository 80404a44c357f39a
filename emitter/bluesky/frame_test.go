package bluesky

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// samples are the frames of both versions.
func samples(t testing.TB) (frames []string) {
	t.Helper()
	for _, name := range []string{"testdata/jetstream_v1.jsonl", "testdata/jetstream_v2.jsonl"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			frames = append(frames, strings.TrimSpace(line))
		}
	}
	return frames
}

func TestFramesAreToldApart(t *testing.T) {
	at := time.Date(2026, 8, 20, 10, 0, 0, 1000, time.UTC).UnixMicro()
	for data, want := range map[string]frame{
		`{"$type":"message","payload":{"$type":"x#commit","seq":5,"time":"2026-08-20T10:00:00.000001Z"}}`: {time: at},
		`{"did":"d","time_us":1787220000000001,"kind":"commit"}`:                                          {time: at},
		`{"$type":"message","payload":{"$type":"x#info","name":"OutdatedCursor","message":"m"}}`:          {kind: frameInfo, name: "OutdatedCursor", message: "m"},
		`{"$type":"error","error":"ConsumerTooSlow","message":"a\nb"}`:                                    {kind: frameError, name: "ConsumerTooSlow", message: "a b"},
		`{"$type":"message","payload":{"time":"yesterday"}}`:                                              {},
		`{"time_us":-5}`:                   {},
		`{"time_us":"5","error":[]}`:       {},
		`{"time_us":99999999999999999999}`: {},
		`{"$type":"message","payload":7}`:  {},
		`[]`:                               {}, ``: {}, `{`: {}, "\xff": {},
	} {
		if got := parseFrame([]byte(data)); got != want {
			t.Errorf("%s: %+v, not %+v", data, got, want)
		}
	}
}

// FuzzTimeInTheHeadIsThatOfTheFrame: what is read from a cut frame is what is
// read from the whole one, or nothing.
func FuzzTimeInTheHeadIsThatOfTheFrame(f *testing.F) {
	for _, frame := range samples(f) {
		f.Add(frame, 300)
	}
	f.Add(`{"did":"d","time_us":5,"time_us":6}`, 25)
	f.Fuzz(func(t *testing.T, data string, cut int) {
		whole := parseFrame([]byte(data))
		head := timeInHead([]byte(data[:int(uint(cut)%uint(len(data)+1))]))
		var e map[string]json.RawMessage
		if head == 0 || json.Unmarshal([]byte(data), &e) != nil || strings.Count(strings.ToLower(data), `"time`) > 1 ||
			strings.Count(strings.ToLower(data), `payload"`) > 1 || strings.Count(strings.ToLower(data), `type"`) > 2 || strings.Contains(data, `\`) {
			return // there is no time, no frame, or more than one of what counts
		}
		if whole.kind == frameEvent && head != whole.time && whole.time != 0 {
			t.Errorf("%d in the head, %d in the frame", head, whole.time)
		}
	})
}

func TestTimeIsFoundInTheHeadsOfSamples(t *testing.T) {
	for _, data := range samples(t) {
		want := parseFrame([]byte(data))
		if got := timeInHead([]byte(data[:min(len(data), 250)])); got != want.time {
			t.Errorf("%s: %d, not %d", data, got, want.time)
		}
	}
}

func TestRefusalsAreRead(t *testing.T) {
	for body, want := range map[string]refusal{
		`{"error":"CursorTooOld","message":"cursor 5 is below the floor 12345"}`: {"CursorTooOld", "cursor 5 is below the floor 12345", 12345},
		`{"error":"CursorTooOld","message":"seq 5","floor":77}`:                  {"CursorTooOld", "seq 5", 77},
		`{"error":"CursorTooOld","message":"99999999999999999999"}`:              {"CursorTooOld", "99999999999999999999", 1<<63 - 1},
		`{"error":5,"message":"m"}`:                                              {"", "m", 0},
		"slow down\n":                                                            {"", "slow down", 0},
		"":                                                                       {},
		`{"floor":-1}`:                                                           {},
	} {
		if got := parseRefusal([]byte(body)); got != want {
			t.Errorf("%q: %+v, not %+v", body, got, want)
		}
	}
}

func FuzzRefusalsAreFitToBeShown(f *testing.F) {
	f.Add([]byte(`{"error":"CursorTooOld","message":"floor 12345"}`))
	f.Add([]byte("<html>\x1b[31m" + strings.Repeat("é", 300)))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := parseRefusal(body)
		for _, words := range []string{r.Name, r.Message} {
			if len(words) > 210 || !utf8.ValidString(words) || strings.ContainsFunc(words, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q", words)
			}
		}
		if r.Floor < 0 {
			t.Errorf("floor %d", r.Floor)
		}
	})
}

func FuzzDictionariesAndFramesNeverUnpackToMoreThanIsTaken(f *testing.F) {
	f.Add([]byte("\x37\xa4\x30\xec\x07\x00\x00\x00"), []byte("\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00a"))
	f.Fuzz(func(t *testing.T, data, frame []byte) {
		d, err := parseDictionary(data)
		if err != nil {
			return
		}
		const most = 1 << 10
		z, err := d.decoder(most)
		if err != nil {
			return
		}
		defer z.Close()
		if out, err := z.DecodeAll(frame, nil); err == nil && len(out) > most {
			t.Errorf("%d bytes", len(out))
		}
	})
}
