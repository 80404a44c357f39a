package roster

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// What a process reports may be anything: it is refused, or told of as it was
// reported.
func FuzzInstance(f *testing.F) {
	lag := int64(3)
	good, err := json.Marshal(Instance{
		Name: "a", Role: "process", Started: noon, Seen: noon, State: Running, View: &View{State: "running", Lag: &lag},
		Sources: []Source{{Source: "x", Progress: &Progress{Done: 1, Total: 2, Unit: "bytes"}}}, Tasks: []Task{{Task: "0_1", Inputs: []Input{{Topic: "t"}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`null`))
	f.Add([]byte(`{"state":"left","seen":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var i Instance
		if json.Unmarshal(data, &i) != nil {
			return
		}
		var r Roster
		r.Report(i, noon, true)
		all := r.Instances(noon)
		if i.State == Left {
			if len(all) != 0 {
				t.Fatalf("%+v has left", all)
			}
			return
		}
		if i.Seen = noon; len(all) != 1 || !bytes.Equal(written(t, all[0]), written(t, i)) {
			t.Fatalf("%s is told of as %s", written(t, i), written(t, all))
		}
		r.Instances(noon.Add(time.Hour))
	})
}

func written(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
