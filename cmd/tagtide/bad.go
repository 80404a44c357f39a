package main

import "github.com/tagtide/tagtide/stream"

// badFlags say what becomes of records that cannot be handled.
type badFlags struct {
	BadRecords string `help:"What becomes of records that cannot be handled: dead sets them aside as dead letters, skip counts them and goes on, stop ends with an error." enum:"dead,skip,stop" default:"dead"`
}

func (f badFlags) policy() stream.OnFailure {
	return map[string]stream.OnFailure{
		"dead": stream.DeadLetterFailed, "skip": stream.SkipFailed, "stop": stream.StopOnFailed,
	}[f.BadRecords]
}
