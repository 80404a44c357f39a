package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tagtide/tagtide/api"
)

type build struct{ api.Build }

// version reads what the Go tool chain wrote into the binary.
func version() build {
	b := build{api.Build{Version: "devel", Go: runtime.Version()}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		}
	}
	return b
}

func (b build) line() string {
	parts := []string{"tagtide", b.Version, b.Revision, b.Time, b.Go}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// versionCmd tells about the build.
type versionCmd struct {
	JSON bool `help:"As JSON."`
}

// Run does it.
func (c *versionCmd) Run(s std) error {
	if c.JSON {
		return json.NewEncoder(s.out).Encode(version().Build)
	}
	_, err := fmt.Fprintln(s.out, version().line())
	return err
}
