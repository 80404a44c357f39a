// Package streamtest runs whole groups by hand, in virtual time, on a log in
// memory: several members, their crashes, and what they say afterwards, in a
// test without a goroutine or a sleep.
//
// The package's own tests are a simulation of the engine: groups under every
// fault there is, drawn from a seed.
package streamtest
