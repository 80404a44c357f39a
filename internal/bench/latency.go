package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/tagtide/tagtide/internal/ranking"
)

// latency measures requests for the top ten over HTTP, one after another, to
// the real program, while a million hashtags are there and the main data set
// is being counted on top of them, 40,000 posts a second.
func (b bench) latency(ctx context.Context) (result, error) {
	program, url, err := b.startProgram(ctx)
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	times, err := ask(url, int64(b.tags/2), int64(b.tags/2+b.posts))
	took := time.Since(begin)
	bound, unread := handled(url, "/api/v1/top", .99)
	err = errors.Join(err, unread, program.Process.Signal(syscall.SIGTERM), program.Wait())
	if err != nil || len(times) == 0 {
		return result{}, errors.Join(errors.New("no answers"), err)
	}
	slices.Sort(times)
	at := func(q float64) float64 { return float64(times[int(q*float64(len(times)-1))].Microseconds()) }
	peak := float64(program.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	return result{Items: int64(len(times)), Seconds: took.Seconds(), Extra: map[string]float64{
		"p50_us": at(.5), "p99_us": at(.99), "max_us": at(1), "handled_us": bound, "program_mib": peak,
	}}, nil
}

// startProgram runs tagtide over the wide data set's directory.
func (b bench) startProgram(ctx context.Context) (*exec.Cmd, string, error) {
	binary, err := b.build(ctx)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--data-dir", b.file("data"), "--log-level", "warn",
		"--source", "file", "--input", b.file("tweets.jsonl"), "--rate", "40000", "--listen", "127.0.0.1:0")
	url, err := startTold(cmd, `page on (http://\S+)`)
	return cmd, url, err
}

// askFor is for how long the top ten is asked for.
const askFor = 8 * time.Second

// ask asks for the top ten from when more than from posts are counted until
// all are or askFor is over, and returns how long each answer took.
func ask(url string, from, all int64) (times []time.Duration, err error) {
	begun := time.Now()
	for last := begun; time.Since(begun) < askFor; {
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			posts, err := counted(url)
			if err == nil && posts >= all {
				return times, nil
			}
			if err != nil || posts <= from {
				time.Sleep(10 * time.Millisecond) // being restored, or not begun
				times, begun = nil, time.Now()
				continue
			}
		}
		took, err := top(url)
		if err != nil {
			return times, err
		}
		times = append(times, took)
		time.Sleep(500 * time.Microsecond) // a client, not an attack
	}
	return times, nil
}

func top(url string) (time.Duration, error) {
	var answer struct{ Data []ranking.Row }
	begin := time.Now()
	status, err := getJSON(url+"/api/v1/top?limit=10&allow_stale=true", &answer)
	took := time.Since(begin)
	if err == nil && status == http.StatusOK && len(answer.Data) > 10 {
		err = fmt.Errorf("%d rows", len(answer.Data))
	}
	return took, err
}

func counted(url string) (int64, error) {
	var answer struct{ Data struct{ Posts int64 } }
	status, err := getJSON(url+"/api/v1/stats", &answer)
	if err == nil && status != http.StatusOK {
		err = errors.New(http.StatusText(status))
	}
	return answer.Data.Posts, err
}

func getJSON(url string, to any) (status int, err error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body) // to its end, so that the connection is used again
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, json.Unmarshal(body, to)
}
