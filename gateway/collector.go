package gateway

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"syscall"
	"time"
)

const (
	leastRoom    = 64 << 20 // may pile up before it is collected, however little is in use
	mostRoom     = 256 << 20
	mostGarbage  = 800 // percent of what is in use
	collectorAge = 2 * time.Second
	quiet        = 4 << 20          // bytes allocated in that time by a process that has nothing to do,
	quietFor     = collectorAge / 8 // and what it uses of a processor: registrations hardly allocate, and phones cost something by being there
	restful      = 5                // times in a row that it had nothing to do: what is given back comes back page by page with the next burst
	worthGiving  = 16 << 20         // unused bytes that are worth being given back to the system
)

// collector lets a small process collect its garbage less often: with 10 MB in use it would be collected after every
// 10 MB, many times in a second under load. At least 64 MB may pile up, and more on a machine that has much memory. What a burst has left behind,
// like thousands of handshakes after a cut line, goes back to the system once it has been quiet for a while.
type collector struct {
	garbage   uint64 // that may pile up
	percent   int
	allocated uint64
	used      time.Duration // of processors
	rests     int           // how often in a row there was nothing to do
}

// tuneCollector starts a collector. Whoever sets GOGC decides alone.
func (g *Gateway) tuneCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collector{garbage: garbageOf(machine())}
	g.every("garbage collector", collectorAge, func(context.Context) error {
		c.look()
		return nil
	})
}

func (c *collector) look() {
	h := readHeap()
	if percent := garbagePercent(h.live, c.garbage); percent != c.percent {
		debug.SetGCPercent(percent)
		c.percent = percent
	}
	if c.idle(h.allocated, processorTime()) && h.unused() >= worthGiving {
		debug.FreeOSMemory()
		c.used = processorTime() // that was our own doing
	}
}

// idle reports whether the process has had nothing to do for the last looks, from what it has allocated and used until now.
func (c *collector) idle(allocated uint64, used time.Duration) bool {
	c.rests++
	if allocated-c.allocated >= quiet || used-c.used >= quietFor {
		c.rests = 0
	}
	c.allocated, c.used = allocated, used
	return c.rests >= restful
}

// garbagePercent is GOGC for so many bytes in use and of garbage, in steps so that it rarely changes.
func garbagePercent(live, garbage uint64) int {
	const step = 50
	percent := mostGarbage
	if live > 0 {
		percent = int(min(mostGarbage, garbage*100/live))
	}
	return max(100, percent/step*step)
}

// heap is what the runtime tells of its memory, in bytes.
type heap struct {
	live      uint64 // in use at the last collection; 0 before the first
	allocated uint64 // since the start
	objects   uint64 // in use or garbage
	free      uint64 // empty, and not given back to the system
}

// unused is what could be given back, more or less: garbage, and what is empty.
func (h heap) unused() uint64 {
	if h.live == 0 {
		return 0
	}
	return h.free + h.objects - min(h.objects, h.live)
}

func readHeap() heap {
	samples := []runtimemetrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	runtimemetrics.Read(samples)
	return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
}

// processorTime is what the process has used of processors since its start.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
