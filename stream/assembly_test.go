package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
)

func TestFailedStepsAreLoggedTenTimesAndThenAtPowersOfTen(t *testing.T) {
	var out bytes.Buffer
	r := &failureReport{logger: slog.New(slog.NewTextHandler(&out, nil)), bad: newBadRecords(nil, "g")}
	for range 2500 {
		r.report(record.Partition{Topic: "in"}, 7, errors.New("no good"))
	}
	r.report(record.Partition{Topic: "in"}, 8, &task.Panic{Value: "what now", Stack: []byte("main.step")})
	if n := strings.Count(out.String(), "level=WARN"); n != 12 { // 1 to 10, 100, 1000
		t.Errorf("%d warnings, want 12", n)
	}
	if n := strings.Count(out.String(), "level=ERROR"); n != 1 || !strings.Contains(out.String(), "stack=main.step") {
		t.Errorf("%d errors, want one with the stack", n)
	}
}
