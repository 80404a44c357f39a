package post

// X and others write times in RFC 3339, X v1.1 like Ruby. time.Parse would take longer than all the rest of a post.
//
//	2026-08-20T10:00:00.000Z          2026-08-20T10:00:00+02:00
//	Fri Apr 03 12:00:00 +0000 2020

// parseTime is the time in Unix milliseconds, 0 if it is of neither form or no such day exists: a post whose time
// is unreadable still counts.
func parseTime(s []byte) int64 {
	if len(s) > 0 && '0' <= s[0] && s[0] <= '9' {
		return parseRFC3339(s)
	}
	return parseRuby(s)
}

func parseRFC3339(s []byte) int64 {
	const layout = "2006-01-02T15:04:05"
	if len(s) < len(layout)+1 || s[4] != '-' || s[7] != '-' || s[10] != 'T' {
		return 0
	}
	seconds, valid := clock(s[11:19])
	days, exists := civil(four(s), two(s[5], s[6]), two(s[8], s[9]))
	if !valid || !exists {
		return 0
	}
	milli, zone, valid := fraction(s[len(layout):])
	offset, exists := zoneOffset(zone)
	if !valid || !exists {
		return 0
	}
	return (int64(days)*86400+int64(seconds-offset))*1000 + int64(milli)
}

func parseRuby(s []byte) int64 {
	const layout = "Mon Jan 02 15:04:05 -0700 2006"
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	const weekdays = "sunmontuewedthufrisat"
	if len(s) != len(layout) || s[3] != ' ' || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' || s[25] != ' ' {
		return 0
	}
	weekday, month := nameIn(weekdays, s[0:3]), nameIn(months, s[4:7])
	seconds, valid := clock(s[11:19])
	days, exists := civil(four(s[26:]), month, two(s[8], s[9]))
	zone := [6]byte{s[20], s[21], s[22], ':', s[23], s[24]}
	offset, known := zoneOffset(zone[:])
	if weekday == 0 || !valid || !exists || !known { // the right weekday or not: the date counts
		return 0
	}
	return (int64(days)*86400 + int64(seconds-offset)) * 1000
}

// nameIn is the place, from 1, of a name of three letters among names, which are lower case; 0 if it is none of
// them. The name's own case does not matter.
func nameIn(names string, name []byte) int {
	lower := [3]byte{name[0] | 0x20, name[1] | 0x20, name[2] | 0x20}
	for i := 0; i < len(names); i += 3 {
		if string(lower[:]) == names[i:i+3] {
			return i/3 + 1
		}
	}
	return 0
}

// two is the number that two digits say, -1 if they are none.
func two(tens, ones byte) int {
	tens, ones = tens-'0', ones-'0'
	if tens > 9 || ones > 9 {
		return -1
	}
	return 10*int(tens) + int(ones)
}

// four is the number that s, four digits, says, -1 if they are none.
func four(s []byte) int {
	high, low := two(s[0], s[1]), two(s[2], s[3])
	if high < 0 || low < 0 {
		return -1
	}
	return 100*high + low
}

// clock is the second of the day that s, 15:04:05, says.
func clock(s []byte) (second int, valid bool) {
	_ = s[7]
	hour, minute, second := two(s[0], s[1]), two(s[3], s[4]), two(s[6], s[7])
	valid = s[2] == ':' && s[5] == ':' && between(hour, 0, 23) && between(minute, 0, 59) && between(second, 0, 59)
	return hour*3600 + minute*60 + second, valid
}

// fraction is the part of a second at the start of s, in milliseconds and cut, not rounded, and what follows it.
func fraction(s []byte) (milli int, rest []byte, valid bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	i, scale := 1, 100
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		milli += int(s[i]-'0') * scale
		scale /= 10
	}
	return milli, s[i:], i > 1
}

// zoneOffset is the distance from UTC in seconds that Z or +02:00 says.
func zoneOffset(s []byte) (offset int, valid bool) {
	if string(s) == "Z" {
		return 0, true
	}
	if len(s) != len("+02:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, minutes := two(s[1], s[2]), two(s[4], s[5])
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, between(hours, 0, 24) && between(minutes, 0, 60) // as lax as time.Parse
}

func between(n, low, high int) bool { return low <= n && n <= high }

// civil is the number of days from 1970 to a date of the Gregorian calendar. Years begin in March here, so that
// the leap day is their last.
func civil(year, month, day int) (days int, exists bool) {
	if year < 1 || !between(month, 1, 12) || !between(day, 1, daysIn(year, month)) {
		return 0, false
	}
	if month < 3 {
		year, month = year-1, month+12
	}
	const epoch = 719468 // days from March of year 0 to 1970
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - epoch, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
