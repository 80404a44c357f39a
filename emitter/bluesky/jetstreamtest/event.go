package jetstreamtest

import (
	"encoding/json"
	"time"
)

// An Event is what happened on the network, in the server's time.
type Event struct {
	Time int64  // Unix microseconds
	DID  string // whose
	// Op is create, update or delete of the post Rkey, active or deleted of the
	// account, or identity.
	Op   string
	Rkey string
	Tags []string // of the post
	// Raw, if set, is the frame in both versions.
	Raw string
}

// ID is the post's id.
func (e *Event) ID() string { return "at://" + e.DID + "/app.bsky.feed.post/" + e.Rkey }

type record struct {
	Type      string   `json:"$type"`
	CreatedAt string   `json:"createdAt"`
	Text      string   `json:"text"`
	Tags      []string `json:"tags,omitempty"`
}

type commit struct {
	Rev        string  `json:"rev,omitempty"`
	Operation  string  `json:"operation,omitempty"`
	Collection string  `json:"collection,omitempty"`
	Rkey       string  `json:"rkey,omitempty"`
	Record     *record `json:"record,omitempty"`
	CID        string  `json:"cid,omitempty"`
}

type account struct {
	Active bool   `json:"active"`
	Status string `json:"status,omitempty"`
	DID    string `json:"did"`
	Seq    int64  `json:"seq"`
	Time   string `json:"time"`
}

type identity struct {
	DID    string `json:"did"`
	Handle string `json:"handle"`
}

// first is an event in the first version.
type first struct {
	DID      string    `json:"did"`
	TimeUS   int64     `json:"time_us"`
	Kind     string    `json:"kind"`
	Commit   *commit   `json:"commit,omitempty"`
	Account  *account  `json:"account,omitempty"`
	Identity *identity `json:"identity,omitempty"`
}

// second is an event in the second version.
type second struct {
	Type string `json:"$type"`
	Seq  int64  `json:"seq"`
	DID  string `json:"did"`
	Time string `json:"time"`
	commit
	Account  *account  `json:"account,omitempty"`
	Identity *identity `json:"identity,omitempty"`
}

// kind is what the protocol calls the event.
func (e *Event) kind() string {
	switch e.Op {
	case "active", "deleted":
		return "account"
	case "identity":
		return "identity"
	}
	return "commit"
}

func (e *Event) when() string {
	return time.UnixMicro(e.Time).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}

// parts are what the event consists of, by its kind.
func (e *Event) parts() (*commit, *account, *identity) {
	switch e.kind() {
	case "account":
		a := &account{Active: e.Op == "active", DID: e.DID, Time: e.when()}
		if !a.Active {
			a.Status = e.Op
		}
		return nil, a, nil
	case "identity":
		return nil, nil, &identity{e.DID, "someone.example"}
	}
	c := &commit{Rev: "3mt" + e.Rkey, Operation: e.Op, Collection: "app.bsky.feed.post", Rkey: e.Rkey}
	if e.Op != "delete" {
		c.Record = &record{Type: c.Collection, CreatedAt: e.when(), Text: "of a post", Tags: e.Tags}
		c.CID = "bafyrei" + e.Rkey
	}
	return c, nil, nil
}

// frame is the event as it is sent.
func (e *Event) frame(version int, seq int64) []byte {
	if e.Raw != "" {
		return []byte(e.Raw)
	}
	c, a, id := e.parts()
	if version == 1 {
		return encode(first{e.DID, e.Time, e.kind(), c, a, id})
	}
	payload := second{
		Type: "network.bsky.jetstream.subscribeEvents#" + e.kind(), Seq: seq, DID: e.DID, Time: e.when(),
		Account: a, Identity: id,
	}
	if c != nil {
		payload.commit = *c
	}
	return message(payload)
}

// message is a frame of the second version.
func message(payload any) []byte {
	return encode(struct {
		Type    string `json:"$type"`
		Payload any    `json:"payload"`
	}{"message", payload})
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // all of it is ours
	}
	return data
}
