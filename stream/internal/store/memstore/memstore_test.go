package memstore_test

import (
	"testing"

	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/memstore"
	"github.com/tagtide/tagtide/stream/internal/store/storetest"
)

type memory struct{}

func (memory) Open() (store.Store, error) { return memstore.New(), nil }

func TestKeepsTheContract(t *testing.T) {
	place := func(*testing.T) storetest.Place { return memory{} }
	storetest.Run(t, place)
	storetest.RunHistories(t, place, false)
}
