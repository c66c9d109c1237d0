package bounded_test

import (
	"sync"
	"testing"

	"demarc/internal/bounded"
)

func TestLimit(t *testing.T) {
	m := bounded.NewMap[int, int](100)
	for i := range 10_000 {
		m.Set(i, i)
		if n := m.Len(); n > 100 {
			t.Fatalf("%d entries after %d were set", n, i+1)
		}
	}
	for i := 9_950; i < 10_000; i++ { // half the limit is always there
		if v, ok := m.Find(i); !ok || v != i {
			t.Errorf("the entry of %d is %d, %t", i, v, ok)
		}
	}
}

// What is used now and then outlives what is not.
func TestUsedIsKept(t *testing.T) {
	for name, use := range map[string]func(m *bounded.Map[int, string]) string{
		"Find": func(m *bounded.Map[int, string]) string { v, _ := m.Find(-1); return v },
		"Use":  func(m *bounded.Map[int, string]) string { return m.Use(-1, func() string { return "made anew" }) },
		"Update": func(m *bounded.Map[int, string]) string {
			return m.Update(-1, func(v string, _ bool) string { return v })
		},
	} {
		m := bounded.NewMap[int, string](10)
		m.Set(-1, "kept")
		m.Set(-2, "not used")
		for i := range 1000 {
			m.Set(i, "")
			if i%4 == 0 {
				if v := use(m); v != "kept" {
					t.Fatalf("%s after %d others: %q", name, i+1, v)
				}
			}
		}
		if _, ok := m.Find(-2); ok {
			t.Errorf("%s: what was not used is still there", name)
		}
	}
}

func TestRemoved(t *testing.T) {
	m := bounded.NewMap[string, int](4)
	if !m.Empty() {
		t.Error("a new map is not empty")
	}
	m.Set("old", 1)
	m.Set("other", 2)
	m.Set("new", 3) // the first two are the old half now
	for _, k := range []string{"old", "new", "other", "nobody"} {
		m.Remove(k)
		if _, ok := m.Find(k); ok {
			t.Errorf("%q is there after it was removed", k)
		}
	}
	if !m.Empty() || m.Len() != 0 {
		t.Errorf("%d entries are left", m.Len())
	}
	if v := m.Update("old", func(v int, found bool) int {
		if found {
			t.Error("Update found what was removed")
		}
		return v + 7
	}); v != 7 {
		t.Errorf("Update returned %d", v)
	}
}

func TestManyAtOnce(t *testing.T) {
	m := bounded.NewMap[int, int](64)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				m.Update(1, func(v int, _ bool) int { return v + 1 })
			}
		})
	}
	all.Wait()
	if v, _ := m.Find(1); v != 8000 {
		t.Errorf("counted to %d of 8000", v)
	}
}
