// Package webtest tests the page in a real Chromium, with the build tag web:
//
//	go test -tags web ./api/webtest/...
//
// Chromium is looked for as chromium, chromium-browser and google-chrome on the
// PATH, or at CHROME. With -update the screenshot of the README is written too,
// of the program at -url if that is given.
package webtest
