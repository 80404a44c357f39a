package main

import "testing"

// Of every shape there are posts, and encoding/json reads them too.
func TestShapesHavePosts(t *testing.T) {
	t.Chdir("../..") // where bench is run
	for _, s := range shapes {
		if _, err := s.posts(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}
