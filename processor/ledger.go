package processor

import (
	"strings"
	"time"

	"github.com/tagtide/tagtide/post"
)

// A ledger counts one partition of the input by the rules of posts.go, in plain
// maps by whole ids: what the group does must come to the same.
type ledger struct {
	dedupe time.Duration
	counts oracle           // shared by the partitions
	now    int64            // stream time
	known  map[string]entry // by the id of a post, account or alias
}

type entry struct {
	what  op
	order int64  // of an edit
	at    int64  // stream time
	uses  []use  // of a post
	post  string // of an alias: the post's id
}

// op is what was heard last. Of posts a larger one outranks a smaller.
type op int

const (
	posted op = iota
	edited    // or hidden: without uses
	deleted
	goneAway // an account
	leads    // an alias
)

// A use of a hashtag.
type use struct{ key, spelling string }

func newLedger(dedupe time.Duration, counts oracle) *ledger {
	return &ledger{dedupe: dedupe, counts: counts, known: map[string]entry{}}
}

// reach moves stream time on.
func (l *ledger) reach(unixMilli int64) { l.now = max(l.now, unixMilli) }

// get returns what is remembered.
func (l *ledger) get(id string) (entry, bool) {
	e, ok := l.known[id]
	return e, ok && l.now-e.at <= l.dedupe.Milliseconds()
}

func (l *ledger) set(id string, e entry) {
	e.at = l.now
	l.known[id] = e
}

func (l *ledger) add(uses []use, n int64) {
	for _, u := range uses {
		l.counts.use([]byte(u.key), []byte(u.spelling), n)
	}
}

// see takes a post, an edit, a delete or what happened to an account.
func (l *ledger) see(p *post.Post, uses []post.Use) {
	var all []use
	for _, u := range uses {
		all = append(all, use{string(u.Key), string(u.Spelling)})
	}
	id := p.Source + ":" + string(p.ID)
	switch {
	case p.Op == post.Gone && l.dedupe > 0:
		l.gone(id)
	case p.Op == post.Back:
		delete(l.known, "account "+id)
	case p.Op == post.Delete && len(p.ID) == 0:
		l.unalias("alias " + p.Source + ":" + string(p.Alias))
	case p.Op == post.Delete:
		l.takeBack(id)
		l.set(id, entry{what: deleted})
	case len(p.ID) == 0 || l.dedupe == 0:
		l.add(all, 1)
	default:
		l.version(p, id, all)
	}
}

// version takes a post, an edit or a hide.
func (l *ledger) version(p *post.Post, id string, uses []use) {
	e := entry{what: posted, uses: uses}
	if p.Op != post.Create {
		e.what, e.order = edited, p.Order()
	}
	was, known := l.get(id)
	late := known && e.what < was.what
	if known && e.what == edited && was.what == edited && e.order != 0 && was.order != 0 {
		late = e.order < was.order
	}
	if len(p.Alias) > 0 {
		alias := "alias " + p.Source + ":" + string(p.Alias)
		if led, there := l.get(alias); there && led.what == deleted {
			return
		}
		l.set(alias, entry{what: leads, post: id})
	}
	if account := accountOf(p.Source, p.ID); account != nil && !known {
		_, late = l.get("account " + p.Source + ":" + string(account))
	}
	if late {
		return
	}
	l.takeBack(id)
	l.add(uses, 1)
	l.set(id, e)
}

// takeBack takes back what a post counts.
func (l *ledger) takeBack(id string) {
	if was, known := l.get(id); known {
		l.add(was.uses, -1)
		delete(l.known, id)
	}
}

func (l *ledger) unalias(alias string) {
	if led, there := l.get(alias); there && led.what == leads {
		l.takeBack(led.post)
		l.set(led.post, entry{what: deleted})
	}
	l.set(alias, entry{what: deleted})
}

func (l *ledger) gone(account string) {
	source, name, _ := strings.Cut(account, ":")
	for id, e := range l.known {
		if strings.HasPrefix(id, source+":at://"+name+"/") && e.what < deleted {
			l.takeBack(id)
		}
	}
	l.set("account "+account, entry{what: goneAway})
}
