package api

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryProblemIsExplainedWhereItsTypePoints(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`newProblem\([^"\n]*"([a-z-]+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range made.FindAllSubmatch(source, -1) {
			if !strings.Contains(string(readme), "\n### "+string(name[1])+"\n") {
				t.Errorf("%s: problem %s is not explained in the README", file, name[1])
			}
		}
	}
}
