package registrar_test

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// The copy of a request has nothing of the memory that the request was read from, whatever fields it has.
func TestOwnTexts(t *testing.T) {
	message := []byte(strings.Repeat("0123456789", 100))
	req, at := &registration.Request{}, 0
	fill(reflect.ValueOf(req).Elem(), func() string {
		at += 7
		return unsafe.String(&message[at], 5)
	})
	own := req.Own()
	if !reflect.DeepEqual(own, req) {
		t.Fatalf("%+v, want %+v", own, req)
	}
	for i := range message {
		message[i] = '#'
	}
	if text := fmt.Sprintf("%+v", *own); strings.Contains(text, "#") {
		t.Errorf("it is not all its own: %s", text)
	}
	if text := fmt.Sprintf("%+v", *req); strings.Count(text, "#") != 5*at/7 {
		t.Errorf("the test borrows nothing: %s", text)
	}
}

// fill gives every text that is there, and that of two elements of each list, another value.
func fill(v reflect.Value, text func() string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), text)
		fill(v.Index(1), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Name != "Flow" && field.Name != "Came" { // those are the edge's own
				fill(v.Field(i), text)
			}
		}
	}
}

// What is decided together shares memory with what was decided before: each phone gets its own 200 all the same, also where two
// of a user refresh in one save.
func TestEachGetsItsOwnAnswer(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Shards = 2 })
	var phones []*phone
	for i := range 40 {
		p := f.phone([]string{"1001", "1002"}[i%2], []string{"one", "two"}[i%2], uint64(10+i/16))
		if i%16 > 1 {
			user := strconv.Itoa(2000 + i)
			f.memory.set(func(m *memory) { m.passwords[user] = "pw" })
			p = f.phone(user, "pw", uint64(20+i))
		}
		p.must(200, nil)
		phones = append(phones, p)
	}
	var wait sync.WaitGroup
	for _, p := range phones {
		wait.Go(func() {
			for range 20 {
				reply := p.must(200, nil)
				for _, b := range reply.Bindings {
					if !strings.HasPrefix(b.URI, "sip:"+p.aor.User+"@") {
						t.Errorf("%s was shown %+v", p.aor, reply.Bindings)
					}
				}
			}
		})
	}
	wait.Wait()
}
