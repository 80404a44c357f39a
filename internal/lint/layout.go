package lint

import (
	"slices"
	"strings"
)

// topLevel are the folders a stranger sees, in the order of a tweet's way.
var topLevel = words("emitter processor view api deploy stream hashtag post cmd internal docs .ci")

// checkLayout finds top-level folders that are not part of the picture.
func checkLayout(t *Tree) []Finding {
	var found []Finding
	for _, folder := range t.Folders {
		if !slices.Contains(topLevel, folder) {
			found = append(found, Finding{
				Where: folder + "/", What: "not one of the top-level folders",
				Instead: "put it below one of " + strings.Join(topLevel, ", "),
				Because: "the listing of the root shows the way of a tweet and nothing else",
			})
		}
	}
	return found
}
