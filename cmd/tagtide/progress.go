package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tagtide/tagtide/emitter"
)

// progressBar draws how far a source is, on a terminal.
func progressBar(w io.Writer) func(emitter.Report) {
	var once sync.Once
	var bar *progressbar.ProgressBar
	return func(r emitter.Report) {
		once.Do(func() {
			bar = progressbar.NewOptions64(max(r.Progress.Total, 1),
				progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(r.Progress.Unit == "bytes"),
				progressbar.OptionSetDescription("emitting"), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
			)
		})
		// Drawing is a courtesy: if it fails, there is nobody to tell.
		if r.Progress.Total > 0 {
			bar.ChangeMax64(r.Progress.Total)
		}
		_ = bar.Set64(r.Progress.Done)
	}
}
