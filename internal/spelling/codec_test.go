package spelling

import "testing"

// The bytes as docs/formats/spellings.md draws them.
func TestBytesAreAsDrawn(t *testing.T) {
	var c Change
	for spelling, n := range map[string]int64{key: 3, "COVID19": 19} {
		c = Add(c, Use([]byte(key), []byte(spelling), n))
	}
	c = Add(c, Use([]byte(key), []byte("Covid19"), 4))
	r, _ := Row{}.After(key, 26, c)
	change, err := Changes.Append(nil, c)
	row, err2 := Rows.Append(nil, r)
	if string(change) != "26 0,19,4 7:COVID19,7:Covid19," || string(row) != "0,4,3 7:COVID19,7:Covid19,7:covid19," {
		t.Errorf("change %q, row %q: %v, %v", change, row, err, err2)
	}
	if alone, err := Changes.Decode([]byte("26")); err != nil || alone != Use([]byte(key), []byte(key), 26) {
		t.Errorf("26 is %+v, %v", alone, err)
	}
}

func FuzzChange(f *testing.F) {
	for _, s := range []string{"26", "-1", "26 0,19,4 7:COVID19,7:Covid19,", "0 0,1 7:COVID19,", "5 2 ", "1 0,1 3:a,b,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Changes.Decode(data)
		if err != nil {
			return
		}
		again, err := Changes.Append(nil, c)
		if err != nil || string(again) != string(data) {
			t.Errorf("%q comes back as %q, %v", data, again, err)
		}
		Row{}.After(key, c.Total, Add(c, c))
	})
}

func FuzzRow(f *testing.F) {
	for _, s := range []string{"0 7:COVID19,", "6,210,3 7:COVID19,7:covid19,7:Covid19,", "0 ", "0,1 1:a,", "-1,-5 1:a,1:a,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Rows.Decode(data)
		display, err2 := Displays.Decode(data)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v, but %v", data, err, err2)
		}
		if err != nil {
			return
		}
		again, err := Rows.Append(nil, r)
		if err != nil || string(again) != string(data) || display != r.Display() {
			t.Errorf("%q shown as %q comes back as %q, %v", data, display, again, err)
		}
		r.After(key, 100, Use([]byte(key), []byte("Covid19"), 1))
	})
}
