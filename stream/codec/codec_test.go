package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/codec"
)

func roundTrip[V any](t *testing.T, c codec.Codec[V], v V, want string) V {
	t.Helper()
	got, err := c.Append([]byte("before|"), v)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "before|"+want {
		t.Fatalf("encoding of %v is %q, want %q behind what was there", v, got, want)
	}
	back, err := c.Decode([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestRoundTrips(t *testing.T) {
	for _, s := range []string{"", "covid19", "\xff not UTF-8"} {
		if got := roundTrip(t, codec.String, s, s); got != s {
			t.Errorf("string: got %q, want %q", got, s)
		}
		if got := roundTrip(t, codec.Bytes, []byte(s), s); string(got) != s {
			t.Errorf("bytes: got %q, want %q", got, s)
		}
	}
	for _, n := range []int64{0, 1, -1, -7, 5026, math.MaxInt64, math.MinInt64} {
		if got := roundTrip(t, codec.Int64, n, strconv.FormatInt(n, 10)); got != n {
			t.Errorf("int64: got %d, want %d", got, n)
		}
	}
	type point struct{ X, Y int }
	if got := roundTrip(t, codec.JSON[point](), point{1, 2}, `{"X":1,"Y":2}`); got != (point{1, 2}) {
		t.Errorf("json: got %v", got)
	}
}

func TestBytesAreCopiedAndBorrowedAreNot(t *testing.T) {
	data := []byte("abc")
	if got, _ := codec.Bytes.Decode(data); &got[0] == &data[0] {
		t.Error("Bytes did not copy")
	}
	if got, _ := codec.Borrowed.Decode(data); &got[0] != &data[0] {
		t.Error("Borrowed copied")
	}
	if got, _ := codec.Bytes.Decode([]byte{}); got == nil {
		t.Error("an empty value became nil")
	}
}

func TestInt64RefusesEverythingButTheOneEncoding(t *testing.T) {
	for data, want := range map[string]string{
		"":                                "no digits",
		"-":                               "no digits",
		"+7":                              "not a decimal integer",
		" 7":                              "not a decimal integer",
		"7 ":                              "not a decimal integer",
		"1_000":                           "not a decimal integer",
		"0x10":                            "leading zero",
		"-0":                              "leading zero",
		"007":                             "leading zero",
		"--7":                             "not a decimal integer",
		"9223372036854775808":             "out of the range",
		"-9223372036854775809":            "out of the range",
		strings.Repeat("9", 1e6):          "out of the range",
		strings.Repeat("x", 1e6):          "not a decimal integer",
		"1" + strings.Repeat("\x00", 100): "not a decimal integer",
	} {
		_, err := codec.Int64.Decode([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", data, err, want)
		} else if len(err.Error()) > 400 {
			t.Errorf("%.20q: the error has %d bytes", data, len(err.Error()))
		}
	}
}

func TestInt64DoesNotAllocate(t *testing.T) {
	data, dst := []byte("-9223372036854775808"), make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() {
		v, _ := codec.Int64.Decode(data)
		_, _ = codec.Int64.Append(dst, v)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestJSONErrorsAreShortAndLeaveDstAlone(t *testing.T) {
	_, err := codec.JSON[int8]().Decode([]byte(strings.Repeat("9", 1e6)))
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) || len(err.Error()) > 400 {
		t.Errorf("got %.500v", err)
	}
	if v, err := codec.JSON[[]int]().Decode([]byte(`[1,"x"]`)); err == nil || v != nil {
		t.Errorf("half-decoded value %v came back, error %v", v, err)
	}
	if _, err := codec.JSON[int]().Decode([]byte("1 2")); err == nil {
		t.Error("data behind the value was accepted")
	}
	dst, err := codec.JSON[func()]().Append([]byte("dst"), nil)
	if err == nil || string(dst) != "dst" {
		t.Errorf("got %q, %v", dst, err)
	}
}

func FuzzInt64(f *testing.F) {
	for _, s := range []string{"0", "-7", "+1", "007", "-0", "9223372036854775807", "9223372036854775808", "1_0", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := strconv.ParseInt(string(data), 10, 64)
		canonical := err == nil && strconv.FormatInt(want, 10) == string(data)
		got, err := codec.Int64.Decode(data)
		if (err == nil) != canonical {
			t.Fatalf("%q: error %v, canonical %v", data, err, canonical)
		}
		if err != nil {
			return
		}
		back, _ := codec.Int64.Append(nil, got)
		if got != want || !bytes.Equal(back, data) {
			t.Fatalf("%q decoded to %d, encoded to %q, want %d", data, got, back, want)
		}
	})
}
