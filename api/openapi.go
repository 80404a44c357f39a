package api

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed openapi.json
var openapi []byte

// openAPI describes the API to programs. A test holds it to the routes.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(openapi)))
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(openapi)
	return nil
}
