package api

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/internal/ranking"
)

// exportChunk is how many rows an export holds at once.
const exportChunk = 1000

// export streams every row. It walks by key, a chunk at a time, so it holds no
// more than one chunk however many rows there are, and stops within a chunk
// when the client goes away or takes longer than writeTimeout for one.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.RawQuery, "format", "allow_stale")
	format, allowStale := p.oneOf("format", "ndjson", "csv"), p.allowStale()
	if err := p.check(); err != nil {
		return err
	}
	if _, err := s.fresh(allowStale); err != nil {
		return err
	}
	w.Header().Set("Content-Type", exportTypes[format])
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="hashtags.%s"`, format))
	if r.Method == http.MethodHead {
		return nil
	}
	return s.exportRows(w, format)
}

var exportTypes = map[string]string{
	"ndjson": "application/x-ndjson",
	"csv":    "text/csv; charset=utf-8; header=present",
}

func (s *Server) exportRows(w http.ResponseWriter, format string) error {
	buf := bufio.NewWriterSize(w, 32<<10)
	write := rowWriter(buf, format)
	deadline := http.NewResponseController(w)
	var after *ranking.Key
	for more := true; more; {
		deadline.SetWriteDeadline(time.Now().Add(writeTimeout)) // best effort: a test's writer has none
		var rows []ranking.Row
		rows, more = s.counts.Page(after, exportChunk, "")
		for _, row := range rows {
			if err := write(row); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			last := rows[len(rows)-1].Key()
			after = &last
		}
	}
	return buf.Flush()
}

// rowWriter returns a function that writes one row to buf, in the format asked
// for; the CSV header is written at once.
func rowWriter(buf *bufio.Writer, format string) func(ranking.Row) error {
	if format == "csv" {
		return csvWriter(buf)
	}
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return func(row ranking.Row) error {
		return enc.Encode(struct {
			Tag   string `json:"tag"`
			Count int64  `json:"count"`
		}{row.Tag, row.Count})
	}
}

func csvWriter(w io.Writer) func(ranking.Row) error {
	enc := csv.NewWriter(w)
	enc.Write([]string{"tag", "count"}) // an error shows at the next Flush
	enc.Flush()
	return func(row ranking.Row) error {
		enc.Write([]string{row.Tag, strconv.FormatInt(row.Count, 10)})
		enc.Flush()
		return enc.Error()
	}
}
