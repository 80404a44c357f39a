// Package api is the way out: the counts as JSON, CSV and NDJSON over HTTP, as
// a page, and what an operator asks for (health, readiness, metrics, version).
//
// It reads from the small interface Counts and knows nothing of where counts
// come from; cmd joins it to the view. Every error answer is a problem of
// RFC 9457. Nothing here holds a request longer than its own bytes take:
// Counts never blocks, answers are bounded, and the one answer that is not
// (the export) is streamed a page at a time.
package api
