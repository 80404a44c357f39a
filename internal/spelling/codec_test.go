package spelling

import "testing"

// The bytes as docs/formats/spellings.md draws them.
func TestBytesAreAsDrawn(t *testing.T) {
	var c Change
	for spelling, n := range map[string]int64{key: 3, "COVID19": 19} {
		c = Add(c, Use([]byte(key), []byte(spelling), n))
	}
	c = Add(c, Use([]byte(key), []byte("Covid19"), 4))
	row := after(t, "", 26, c)
	change, err := Changes.Append(nil, c)
	if string(change) != "26 0,19,4 7:COVID19,7:Covid19," || row != "0,4,3 7:COVID19,7:Covid19,7:covid19," {
		t.Errorf("change %q, row %q, %v", change, row, err)
	}
	c = Use([]byte(key), []byte("COVID19"), 26)
	row = after(t, "", 26, c)
	if change, err = Changes.Append(nil, c); string(change) != "26 7:COVID19," || row != "7:COVID19," {
		t.Errorf("change %q, row %q, %v", change, row, err)
	}
	if alone, err := Changes.Decode([]byte("26")); err != nil || alone != Use([]byte(key), []byte(key), 26) {
		t.Errorf("26 is %+v, %v", alone, err)
	}
}

func FuzzChange(f *testing.F) {
	for _, s := range []string{"26", "-1", "26 0,19,4 7:COVID19,7:Covid19,", "0 0,1 7:COVID19,", "5 2 ", "26 7:COVID19,", "3 3 ", "1 0,1 3:a,b,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Changes.Decode(data)
		if err != nil {
			return
		}
		again, err := Changes.Append(nil, c)
		back, err2 := Changes.Decode(again)
		if err != nil || err2 != nil || back != c {
			t.Errorf("%q comes back as %q, %v, %v", data, again, err, err2)
		}
		after(t, "", max(0, c.Total), Add(c, c))
	})
}

func FuzzRow(f *testing.F) {
	for _, s := range []string{"7:COVID19,", "0 7:COVID19,", "6,210,3 7:COVID19,7:covid19,7:Covid19,", "0 ", "0,1 1:a,", "-1,-5 1:a,1:a,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Rows.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		listed, _, err := r.Counts(key, 100)
		display, err2 := Displays.Decode(data)
		if len(data) > 0 && err == nil && (err2 != nil || display != listed[0].Spelling) {
			t.Errorf("%q is %v, shown as %q, %v", data, listed, display, err2)
		}
		if err == nil {
			counts(t, after(t, r, 100, Use([]byte(key), []byte("Covid19"), 1)), 100)
		}
	})
}
