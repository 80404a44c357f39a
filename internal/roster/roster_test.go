package roster

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func states(r *Roster, now time.Time) map[string]State {
	found := map[string]State{}
	for _, i := range r.Instances(now) {
		found[i.Name] = i.State
	}
	return found
}

func TestSilenceIsToldAndThenForgotten(t *testing.T) {
	var r Roster
	r.Report(Instance{Name: "a", State: Running}, noon, true)
	for after, want := range map[time.Duration]State{0: Running, SilentAfter: Running, SilentAfter + 1: Silent, ForgetAfter: Silent} {
		if got := states(&r, noon.Add(after))["a"]; got != want {
			t.Errorf("after %v it is %q, want %q", after, got, want)
		}
	}
	if n := len(r.Instances(noon.Add(ForgetAfter + 1))); n != 0 {
		t.Errorf("%d are still told of", n)
	}
	r.Report(Instance{Name: "a", State: Running}, noon.Add(time.Hour), true)
	if got := states(&r, noon.Add(time.Hour))["a"]; got != Running {
		t.Errorf("back again it is %q", got)
	}
}

func TestWhoLeavesIsNotToldOf(t *testing.T) {
	var r Roster
	r.Report(Instance{Name: "a", State: Running}, noon, true)
	r.Report(Instance{Name: "a", State: Left}, noon, true)
	r.Report(Instance{Name: "never there", State: Left}, noon, true)
	if n := len(r.Instances(noon)); n != 0 {
		t.Errorf("%d are still told of", n)
	}
}

// A clock that is hours off makes nobody silent, and nobody immortal.
func TestClocksOfOthersAreNotBelieved(t *testing.T) {
	for _, theirs := range []time.Time{noon.Add(-5 * time.Hour), noon.Add(5 * time.Hour)} {
		var r Roster
		r.Report(Instance{Name: "a", State: Running, Seen: theirs}, noon, true)
		if got := states(&r, noon.Add(SilentAfter))["a"]; got != Running {
			t.Errorf("by a clock at %v it is %q", theirs, got)
		}
		if got := states(&r, noon.Add(SilentAfter+1))["a"]; got != Silent {
			t.Errorf("by a clock at %v it is %q", theirs, got)
		}
	}
}

// What was there before we read it is as old as it says.
func TestOldReportsAreOld(t *testing.T) {
	var r Roster
	r.Report(Instance{Name: "yesterday", State: Running, Seen: noon.Add(-24 * time.Hour)}, noon, false)
	r.Report(Instance{Name: "just now", State: Running, Seen: noon.Add(-time.Second)}, noon, false)
	r.Report(Instance{Name: "tomorrow", State: Running, Seen: noon.Add(24 * time.Hour)}, noon, false)
	got := states(&r, noon)
	if len(got) != 2 || got["just now"] != Running || got["tomorrow"] != Running {
		t.Errorf("%v", got)
	}
	if got := states(&r, noon.Add(SilentAfter))["tomorrow"]; got != Running {
		t.Errorf("tomorrow's is %q", got)
	}
}

func TestInstancesAreInOrder(t *testing.T) {
	var r Roster
	for _, name := range []string{"b", "a", "c"} {
		r.Report(Instance{Name: name, Role: "serve"}, noon, true)
		r.Report(Instance{Name: name + "p", Role: "process"}, noon, true)
	}
	var names string
	for _, i := range r.Instances(noon) {
		names += i.Name + " "
	}
	if names != "ap bp cp a b c " {
		t.Errorf("%s", names)
	}
}
