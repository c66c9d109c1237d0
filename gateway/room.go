package gateway

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// room returns how many bytes of memory the process may use at most: the machine's, or the least of what a control group (v2) that it
// is in and GOMEMLIMIT leave it. It is 0 where that is not known.
func room(files func(string) ([]byte, error)) uint64 {
	least := uint64(math.MaxUint64)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		least = uint64(limit)
	}
	if text, err := files("/proc/meminfo"); err == nil {
		least = min(least, total(text))
	}
	own, _ := files("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ok {
			if text, err := files(path.Join("/sys/fs/cgroup", group, "memory.max")); err == nil {
				if limit, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil { // else it says max
					least = min(least, limit)
				}
			}
			ok = group != "/" && group != "."
			group = path.Dir(group)
		}
	}
	if least == math.MaxUint64 {
		return 0
	}
	return least
}

// total reads MemTotal, which is in kB.
func total(meminfo []byte) uint64 {
	for line := range strings.Lines(string(meminfo)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if n, err := strconv.ParseUint(f[1], 10, 54); err == nil {
				return n << 10
			}
		}
	}
	return math.MaxUint64
}

// garbageOf is how much garbage may pile up where there is so much room: a 32nd, within bounds.
func garbageOf(room uint64) uint64 {
	const share = 32
	return min(mostRoom, max(leastRoom, room/share))
}

func machine() uint64 { return room(os.ReadFile) }
