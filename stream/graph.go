package stream

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A GroupGraph describes a group: what it reads, keeps and writes. It is made
// once and then only read; any number of processors may run it.
type GroupGraph struct {
	topology  topology.Topology
	sources   []source
	lookups   []*lookupEdge
	combiners []func() task.Combiner
	visitors  map[string]visitor
	errs      []error
}

// An Edge is one part of a GroupGraph. An edge belongs to one graph.
type Edge interface {
	// addTo makes the edge part of the graph; adding it again does nothing.
	addTo(g *GroupGraph)
}

// A Stateful edge is a table that a step may use: one of the group's own, or a
// joined one. Steps that use one table have it in common, so their topics and
// the table must have the same number of partitions.
type Stateful interface {
	Edge
	state() *tableEdge
}

type source struct {
	task.Handler
	topic      string
	loop       bool
	tables     []Stateful
	ownFailure bool // it has a policy of its own for bad records

	partitioner Partitioner
}

type visitor struct {
	table int
	step  task.Step
}

// DefineGroup makes a graph of edges. Tables that steps use need not be listed.
// What is wrong with it comes out of Validate, and of whatever runs it.
func DefineGroup(group string, edges ...Edge) *GroupGraph {
	g := &GroupGraph{visitors: map[string]visitor{}}
	g.topology.Group, g.topology.Partitioners = group, map[string]Partitioner{}
	for _, e := range edges {
		e.addTo(g)
	}
	return g
}

// Group returns the group's name.
func (g *GroupGraph) Group() string { return g.topology.Group }

// GroupTable names the topic of a group's own table.
func GroupTable(group string) string { return topology.GroupTable(group) }

// TableTopic names the topic of a further table of a group.
func TableTopic(group, table string) string { return topology.NamedTable(group, table) }

// LoopTopic names a group's re-keying topic.
func LoopTopic(group string) string { return topology.LoopTopic(group) }

// DeadTopic names the topic of a group's dead letters.
func DeadTopic(group string) string { return topology.DeadTopic(group) }

// Validate reports everything that is wrong with the graph.
func (g *GroupGraph) Validate() error {
	return errors.Join(append(slices.Clone(g.errs), g.topology.Validate(), g.checkOutputs())...)
}

// checkOutputs finds outputs to topics that the engine writes itself.
func (g *GroupGraph) checkOutputs() error {
	own := []string{topology.LoopTopic(g.Group()), topology.DeadTopic(g.Group())}
	for _, t := range g.topology.Tables {
		own = append(own, t.Topic)
	}
	var errs []error
	for _, topic := range g.topology.Outputs {
		if slices.Contains(own, topic) {
			errs = append(errs, fmt.Errorf("group %s: the output %s is a loop, a table or the dead letters, which steps do not write as outputs", g.Group(), topic))
		}
	}
	return errors.Join(errs...)
}

func (g *GroupGraph) fail(format string, a ...any) {
	g.errs = append(g.errs, fmt.Errorf("group %s: "+format, append([]any{g.topology.Group}, a...)...))
}

// addSource adds something whose records are stepped.
func (g *GroupGraph) addSource(s source) {
	var tables []int
	for _, t := range s.tables {
		t.addTo(g)
		tables = append(tables, t.state().index)
		if about := &g.topology.Tables[t.state().index]; t.state().fold != nil && about.Fold.Input == "" {
			about.Fold.Input = s.topic
		}
	}
	slices.Sort(tables)
	g.topology.Sources = append(g.topology.Sources, topology.Source{Topic: s.topic, Loop: s.loop, Tables: slices.Compact(tables)})
	g.sources = append(g.sources, s)
	g.spread(s.topic, s.partitioner)
}

// An edge's place in its graph.
type place struct {
	graph *GroupGraph
	index int
}

// of tells whether the edge belongs to the graph that runs. One of another
// graph may have the index of one that does.
func (p *place) of(ctx Context) bool { return p.graph != nil && p.graph == ctx.graph }

// enter puts an edge into a graph, and tells whether it is new there.
func (p *place) enter(g *GroupGraph, what string) bool {
	switch p.graph {
	case nil:
		p.graph = g
		return true
	case g:
		return false
	}
	g.fail("%s belongs to group %s already; make one of its own", what, p.graph.topology.Group)
	return false
}

// early notes that an edge is changed when its graph has been made of it.
func (p *place) early(method, what string) {
	if p.graph != nil {
		p.graph.fail("%s of %s comes too late: call it before DefineGroup", method, what)
	}
}

// missing is the error of a step that uses an edge its graph does not have.
func missing(what string) error {
	return &task.Fatal{Err: fmt.Errorf("a step uses %s, which is not part of its group: name it in DefineGroup", what)}
}
