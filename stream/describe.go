package stream

import (
	"fmt"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A Description is a group's topology for people and programs.
type Description struct {
	Group         string           `json:"group"`
	SubTopologies []SubDescription `json:"sub_topologies"`
	Lookups       []string         `json:"lookups,omitempty"`
	Outputs       []string         `json:"outputs,omitempty"`
	DeadLetters   string           `json:"dead_letters"`
}

// A SubDescription is a sub-topology: its topics and tables are partitioned
// alike, and one task per partition handles them together.
type SubDescription struct {
	Number  int      `json:"number"`
	Inputs  []string `json:"inputs,omitempty"`
	Loop    string   `json:"loop,omitempty"`
	Tables  []string `json:"tables,omitempty"`
	Folds   []string `json:"folds,omitempty"` // tables that are made of the input again
	Joins   []string `json:"joins,omitempty"`
	FeedsTo string   `json:"feeds,omitempty"` // the loop, from every other sub-topology
}

// Describe returns the group's topology.
func (g *GroupGraph) Describe() Description {
	t := &g.topology
	d := Description{Group: t.Group, Lookups: t.Lookups, Outputs: t.Outputs, DeadLetters: topology.DeadTopic(t.Group)}
	loop := ""
	for _, s := range t.Sources {
		if s.Loop {
			loop = s.Topic
		}
	}
	for n, sub := range t.Subs() {
		s := SubDescription{Number: n, FeedsTo: loop}
		for _, i := range sub.Sources {
			if t.Sources[i].Loop {
				s.Loop, s.FeedsTo = t.Sources[i].Topic, ""
			} else {
				s.Inputs = append(s.Inputs, t.Sources[i].Topic)
			}
		}
		for _, i := range sub.Tables {
			switch tab := t.Tables[i]; {
			case tab.Logged():
				s.Tables = append(s.Tables, tab.Topic)
			case tab.Owned:
				s.Folds = append(s.Folds, tab.Topic)
			default:
				s.Joins = append(s.Joins, tab.Topic)
			}
		}
		d.SubTopologies = append(d.SubTopologies, s)
	}
	return d
}

// sources are the topics that a sub-topology reads.
func (s SubDescription) sources() []string {
	if s.Loop == "" {
		return s.Inputs
	}
	return append(s.Inputs[:len(s.Inputs):len(s.Inputs)], s.Loop)
}

// Text draws the topology for a terminal.
func (d Description) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "group %s\n", d.Group)
	list := func(what string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "    %-7s %s\n", what, strings.Join(names, ", "))
		}
	}
	for _, s := range d.SubTopologies {
		fmt.Fprintf(&b, "  sub-topology %d: one task per partition\n", s.Number)
		list("reads", s.sources())
		list("joins", s.Joins)
		list("keeps", s.Tables)
		list("folds", s.Folds)
		if s.FeedsTo != "" {
			list("feeds", []string{s.FeedsTo})
		}
	}
	list("lookups", d.Lookups)
	list("writes", d.Outputs)
	list("dead", []string{d.DeadLetters})
	return b.String()
}

// Dot draws the topology for Graphviz.
func (d Description) Dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=cylinder];\n", d.Group)
	for _, s := range d.SubTopologies {
		task := fmt.Sprintf("tasks %d_*", s.Number)
		fmt.Fprintf(&b, "  %q [shape=box];\n", task)
		for _, topic := range append(s.sources(), s.Joins...) {
			fmt.Fprintf(&b, "  %q -> %q;\n", topic, task)
		}
		for _, topic := range s.Tables {
			fmt.Fprintf(&b, "  %q -> %q;\n", task, topic)
		}
		if s.FeedsTo != "" {
			fmt.Fprintf(&b, "  %q -> %q;\n", task, s.FeedsTo)
		}
		fmt.Fprintf(&b, "  %q -> %q [style=dotted];\n", task, d.DeadLetters)
	}
	b.WriteString("}\n")
	return b.String()
}
