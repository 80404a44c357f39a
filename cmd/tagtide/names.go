package main

import (
	"regexp"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream"
)

// nameFlags name the group and its input.
type nameFlags struct {
	Group      string `help:"Name of the group; its topics begin with it." default:"hashtags"`
	InputTopic string `help:"Topic the posts are in." default:"tweets"`
}

// Of the tables that a group has beside those that it counts in: how far
// sources were read, and who takes part.
const (
	cursorsTable   = "cursors"
	instancesTable = "instances"
)

// maxName is how long the name of a topic may be, maxGroup how long it leaves
// that of a group to be, which others are made from.
const (
	maxName  = 249
	maxGroup = 200
)

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// validate finds names that no log would take, before anything is made by them:
// a group's name is also that of a folder.
func (f nameFlags) validate() error {
	const allowed = "letters, digits, dot, underscore and hyphen"
	switch {
	case !isName(f.Group, maxGroup):
		return usagef("--group %q: topics are called after it, so it may have only %s, and no more than %d of them", f.Group, allowed, maxGroup)
	case !isName(f.InputTopic, maxName):
		return usagef("--input-topic %q: the name of a topic may have only %s, and no more than %d of them", f.InputTopic, allowed, maxName)
	case slices.Contains(f.ownTopics(), f.InputTopic):
		return usagef("--input-topic %s is a topic of group %s itself: choose another group or another topic", f.InputTopic, f.Group)
	}
	return nil
}

func isName(name string, longest int) bool {
	return topicName.MatchString(name) && len(name) <= longest && name != "." && name != ".."
}

// ownTopics are all that there may be of the group.
func (f nameFlags) ownTopics() []string {
	everything := groupFlags{nameFlags: f, memoryFlags: memoryFlags{dedupeFlag{time.Hour}}}
	return append(everything.graph().OwnTopics(), stream.TableTopic(f.Group, cursorsTable), stream.TableTopic(f.Group, instancesTable))
}
