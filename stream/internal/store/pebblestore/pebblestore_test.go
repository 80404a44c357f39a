package pebblestore_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
	"github.com/tagtide/tagtide/stream/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type directory struct {
	dir string
	o   pebblestore.Options
}

func (d directory) Open() (store.Store, error) { return pebblestore.Open(d.dir, d.o) }

func TestKeepsTheContract(t *testing.T) {
	for name, o := range map[string]pebblestore.Options{
		"default":       {},
		"small":         {CacheBytes: 1},
		"deterministic": {Deterministic: true},
	} {
		place := func(*testing.T) storetest.Place {
			o.FS = vfs.NewMem()
			return directory{"store", o}
		}
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, place)
			storetest.RunDurable(t, place)
		})
	}
}
