package main

import "encoding/json"

// What encoding/json is asked for: the ids, times, texts and hashtags that the
// decoder reads too, in types of their own as a program has them that knows one
// network only. It does not look for hashtags in them.
type (
	plainX struct {
		ID        string    `json:"id_str"`
		Created   string    `json:"created_at"`
		Text      string    `json:"text"`
		FullText  string    `json:"full_text"`
		Entities  plainTags `json:"entities"`
		Extended  plainLong `json:"extended_tweet"`
		Retweeted *plainX   `json:"retweeted_status"`
	}
	plainLong struct {
		FullText string    `json:"full_text"`
		Entities plainTags `json:"entities"`
	}
	plainTags struct {
		Hashtags []plainTag `json:"hashtags"`
	}
	plainTag struct {
		Text string `json:"text"`
		Tag  string `json:"tag"`
	}
	plainEnvelope struct {
		Data     plainX2 `json:"data"`
		Includes struct {
			Tweets []plainX2 `json:"tweets"`
		} `json:"includes"`
	}
	plainX2 struct {
		ID       string      `json:"id"`
		Created  string      `json:"created_at"`
		Text     string      `json:"text"`
		Entities plainTags   `json:"entities"`
		Long     plainLong   `json:"note_tweet"`
		About    []plainEdge `json:"referenced_tweets"`
	}
	plainEdge struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	plainJetstream struct {
		DID    string      `json:"did"`
		Commit plainCommit `json:"commit"`
	}
	plainMessage struct {
		Payload struct {
			DID string `json:"did"`
			plainCommit
		} `json:"payload"`
	}
	plainCommit struct {
		Operation  string `json:"operation"`
		Collection string `json:"collection"`
		Key        string `json:"rkey"`
		Record     struct {
			Created string `json:"createdAt"`
			Text    string `json:"text"`
			Facets  []struct {
				Features []struct {
					Type string `json:"$type"`
					Tag  string `json:"tag"`
				} `json:"features"`
			} `json:"facets"`
			Tags []string `json:"tags"`
		} `json:"record"`
	}
	plainStatus struct {
		ID         string       `json:"id"`
		URI        string       `json:"uri"`
		Created    string       `json:"created_at"`
		Edited     string       `json:"edited_at"`
		Visibility string       `json:"visibility"`
		Content    string       `json:"content"`
		Tags       []plainNamed `json:"tags"`
		Reblog     *plainStatus `json:"reblog"`
	}
	plainNamed struct {
		Name string `json:"name"`
	}
	plainEvent struct {
		Event   string `json:"event"`
		Payload string `json:"payload"`
	}
	plainOwn struct {
		Source string   `json:"source"`
		ID     string   `json:"id"`
		Alias  string   `json:"alias"`
		Time   int64    `json:"time"`
		Tags   []string `json:"tags"`
		Repost bool     `json:"repost"`
	}
)

// plain decodes a value of one type.
func plain[T any](value []byte) error {
	var v T
	return json.Unmarshal(value, &v)
}

// plainInside decodes an event, and the status that stands in a string in it.
func plainInside(value []byte) error {
	var e plainEvent
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	return plain[plainStatus]([]byte(e.Payload))
}
