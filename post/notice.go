package post

// What X says between posts:
//
//	{"delete":{"status":{"id_str":"1245999999999999001", …}}}
//	{"limit":{"track":1234, …}}           {"scrub_geo":{…}}
//	{"status_withheld":{…}}               {"user_withheld":{…}}
//	{"disconnect":{"code":4, …}}          {"warning":{"code":"FALLING_BEHIND", …}}

// notice reads a notice of X v1.1.
func (d *Decoder) notice(p *Post) Result {
	result := Result{Kind: KindNotice}
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "delete":
			result = deleted(p, d.readDeleted("status"))
			continue
		case "limit":
			result.Notice = "limit"
		case "scrub_geo":
			result.Notice = "scrub_geo"
		case "status_withheld":
			result.Notice = "status_withheld"
		case "user_withheld":
			result.Notice = "user_withheld"
		case "disconnect":
			result.Notice = "disconnect"
		case "warning":
			result.Notice = "warning"
		}
		d.skip()
	}
	return result
}

// deletion is that a post is gone.
type deletion struct {
	id   []byte // empty if unknown
	time int64
}

// deleted is the result for a post that is gone, or a notice if nobody knows which.
func deleted(p *Post, gone deletion) Result {
	if len(gone.id) == 0 {
		return Result{Kind: KindNotice, Notice: "delete"}
	}
	p.Source, p.ID, p.Time, p.Op = SourceX, gone.id, gone.time, Delete
	return Result{Kind: KindDelete, Notice: "delete"}
}

// readDeleted reads which post is gone; noun is what the network calls a post.
func (d *Decoder) readDeleted(noun string) (gone deletion) {
	for key := d.objectOf("delete"); key != nil; key = d.member() {
		switch string(key) {
		case noun:
			x := d.readPost()
			gone.id = d.id(x.idStr, x.id)
		case "timestamp_ms":
			gone.time, _ = d.integer(d.value())
		case "event_at":
			gone.time = d.time(d.value())
		default:
			d.skip()
		}
	}
	return gone
}

// remark reads what stands where a post would: errors, or what a page of posts says of itself.
//
//	{"errors":[{"title":"operational-disconnect", …}]}     X v2
//	{"meta":{"result_count":0}}                            X v2: a page without posts
//	{"error":"Unknown stream type","status":400}           Mastodon
func (d *Decoder) remark() (result Result) {
	result.Kind = KindNotice
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "errors":
			result.Notice = "errors"
		case "error":
			result.Notice = "error"
		case "meta":
			if d.isPage() && result.Notice == "" {
				result.Notice = emptyPage
			}
			continue
		}
		d.skip()
	}
	if result.Notice == "" {
		d.fail(0, "of no known format")
	}
	return result
}

// isPage reads what may be the numbers of a page of posts, and reports whether it is.
func (d *Decoder) isPage() (is bool) {
	for key := d.anyObject(); key != nil; key = d.member() {
		is = string(key) == "result_count" || is
		d.skip()
	}
	return is
}

// named is the notice of a name that the network gave.
func (d *Decoder) named(name []byte) Result {
	const longest = 64
	switch {
	case len(name) > longest:
		name = []byte("other")
	case string(name) == "identity": // the notice that comes most often
		return Result{Kind: KindNotice, Notice: "identity"}
	}
	if d.reason != string(name) {
		d.reason = string(name)
	}
	return Result{Kind: KindNotice, Notice: d.reason}
}
