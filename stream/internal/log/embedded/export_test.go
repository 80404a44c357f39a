package embedded

import "github.com/tagtide/tagtide/stream/internal/log"

// Heartbeat is a member's sign of life without the claim that Poll takes.
func Heartbeat(m log.Member) {
	if _, err := m.(*member).beat(); err != nil {
		panic(err)
	}
}
