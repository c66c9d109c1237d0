package gateway_test

import (
	"os"
	"testing"
	"time"

	"demarc/gateway"
)

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 800, 1 << 20: 800, 10 << 20: 600, 32 << 20: 200, 64 << 20: 100, 1 << 30: 100,
	} {
		if got := gateway.GarbagePercent(live, 64<<20); got != want {
			t.Errorf("%d MB in use: %d %%, want %d %%", live>>20, got, want)
		}
	}
	if got := gateway.GarbagePercent(100<<20, 256<<20); got != 250 {
		t.Errorf("100 MB in use, room for 256 MB of garbage: %d %%", got)
	}
}

// A process that works is left alone, also where it allocates nearly nothing.
func TestMemoryIsGivenBackWhenNothingIsDone(t *testing.T) {
	idle := gateway.Idle()
	for _, c := range []struct {
		allocated uint64
		used      time.Duration
		want      bool
	}{
		{100 << 20, time.Second, false}, {101 << 20, 2 * time.Second, false}, {200 << 20, 2 * time.Second, false},
		{201 << 20, 2*time.Second + time.Millisecond, false}, {201 << 20, 2 * time.Second, false}, {201 << 20, 2 * time.Second, false},
		{201 << 20, 2 * time.Second, false}, {202 << 20, 2 * time.Second, true}, {202 << 20, 2 * time.Second, true},
		{300 << 20, 2 * time.Second, false}, {300 << 20, 2 * time.Second, false},
	} {
		if got := idle(c.allocated, c.used); got != c.want {
			t.Errorf("at %d MB and %v: idle is %t", c.allocated>>20, c.used, got)
		}
	}
}

func TestGarbageIsAShareOfTheMemory(t *testing.T) {
	const meminfo = "MemTotal:        8388608 kB\nMemFree:         1000 kB\n"
	for name, c := range map[string]struct {
		files   map[string]string
		room    uint64
		garbage uint64
	}{
		"nothing is known":       {map[string]string{}, 0, 64 << 20},
		"of the machine":         {map[string]string{"/proc/meminfo": meminfo}, 8 << 30, 256 << 20},
		"of an odd machine":      {map[string]string{"/proc/meminfo": "MemTotal: much kB\n"}, 0, 64 << 20},
		"of no group of version": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "4:memory:/a\n"}, 8 << 30, 256 << 20},
		"of a group": {map[string]string{
			"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/system.slice/demarc.service\n",
			"/sys/fs/cgroup/system.slice/demarc.service/memory.max": "536870912\n", "/sys/fs/cgroup/system.slice/memory.max": "max\n",
		}, 512 << 20, 64 << 20},
		"of the group around it": {map[string]string{
			"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/outer/inner\n", "/sys/fs/cgroup/outer/memory.max": "4294967296\n",
		}, 4 << 30, 128 << 20},
		"of a container": {map[string]string{
			"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "4294967296\n",
		}, 4 << 30, 128 << 20},
	} {
		room := gateway.Room(func(name string) ([]byte, error) {
			text, ok := c.files[name]
			if !ok {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		})
		if room != c.room || gateway.GarbageOf(room) != c.garbage {
			t.Errorf("memory %s: %d MB, %d of them garbage; want %d and %d", name, room>>20, gateway.GarbageOf(room)>>20, c.room>>20, c.garbage>>20)
		}
	}
}
