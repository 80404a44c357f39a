package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"github.com/tagtide/tagtide/internal/roster"
)

// described is the part of openapi.json that can be held to the code.
type described struct {
	Paths map[string]struct {
		Get struct {
			Parameters []struct{ Name, In string }
		}
	}
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any
		}
	}
}

func description(t *testing.T) (d described) {
	t.Helper()
	if err := json.Unmarshal(openapi, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	d := description(t)
	s := New(nil, Options{})
	err := s.routes().Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if _, ok := d.Paths[path]; !ok && strings.HasPrefix(path, "/api/") && !strings.HasSuffix(path, "openapi.json") {
			t.Errorf("%s is not described", path)
		}
		delete(d.Paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range d.Paths {
		t.Errorf("%s is described but not there", path)
	}
}

// The problem about an unknown parameter lists those that are known.
func TestOpenAPIDescribesEveryParameter(t *testing.T) {
	h := New(nil, Options{}).Handler()
	for path, at := range description(t).Paths {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path+"?unknown=1", nil))
		var names []string
		for _, p := range at.Get.Parameters {
			if p.In == "query" {
				names = append(names, p.Name)
			}
		}
		if want := "(known here: " + strings.Join(names, ", ") + ")"; !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: described as %s, answers %s", path, want, answer.Body)
		}
	}
}

func TestOpenAPIDescribesEveryField(t *testing.T) {
	schemas := description(t).Components.Schemas
	for name, v := range map[string]any{"Meta": meta{}, "Totals": Totals{}, "Problem": problem{},
		"Instance": roster.Instance{}, "Task": roster.Task{}, "Input": roster.Input{}, "View": roster.View{}} {
		var fields []string
		for f := range reflect.TypeOf(v).Fields() {
			if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" && tag != "checks" {
				fields = append(fields, tag)
			}
		}
		var want []string
		for property := range schemas[name].Properties {
			want = append(want, property)
		}
		slices.Sort(fields)
		slices.Sort(want)
		if !slices.Equal(fields, want) {
			t.Errorf("%s: has %q, described %q", name, fields, want)
		}
	}
}
