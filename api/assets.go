package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/gorilla/mux"
)

//go:embed web
var web embed.FS

// assets are the files under web/assets by name.
var assets = loadAssets()

// An asset is a file that pages refer to by its name and version, so that
// browsers may keep it for ever.
type asset struct {
	content     []byte
	contentType string
	version     string // hash of the content
}

// The types are spelled out: what mime knows depends on the machine.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func loadAssets() map[string]asset {
	found := map[string]asset{}
	files, err := fs.Glob(web, "web/assets/*")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for _, file := range files {
		content, err := web.ReadFile(file)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(content)
		found[path.Base(file)] = asset{content, assetTypes[path.Ext(file)], hex.EncodeToString(sum[:6])}
	}
	return found
}

// assetURL is the address of an asset under which its content never changes.
func assetURL(name string) string { return "/assets/" + name + "?v=" + assets[name].version }

func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	name := mux.Vars(r)["name"]
	a, ok := assets[name]
	if !ok {
		return notFound(fmt.Sprintf("there is no asset %q", name))
	}
	cache := "no-cache"
	if r.URL.RawQuery == "v="+a.version {
		cache = "public, max-age=31536000, immutable"
	}
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", `"`+a.version+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.content))
	return nil
}
