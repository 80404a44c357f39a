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
	for more := d.enter('{'); more; more = d.more('}') {
		switch string(d.key()) {
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

// deleted is the result for a post that is gone, or a notice if nobody knows which.
func deleted(p *Post, id []byte) Result {
	if len(id) == 0 {
		return Result{Kind: KindNotice, Notice: "delete"}
	}
	p.Source, p.ID, p.Op = SourceX, id, Delete
	return Result{Kind: KindDelete, Notice: "delete"}
}

// readDeleted reads the id of the post that is gone; noun is what the network calls a post.
func (d *Decoder) readDeleted(noun string) (id []byte) {
	for more := d.enterField("delete", '{'); more; more = d.more('}') {
		if string(d.key()) != noun {
			d.skip()
			continue
		}
		x := d.readPost()
		id = d.xID(&x)
	}
	return id
}
