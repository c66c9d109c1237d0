package gateway

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	garbage      = 64 << 20 // may pile up before it is collected, however little is in use
	mostGarbage  = 800      // percent of what is in use
	collectorAge = 10 * time.Second
)

// tuneCollector lets a small process collect its garbage less often: with 10 MB in use the collector would start again
// after every 10 MB, many times in a second under load. With 64 MB and more in use it is left as it is. Whoever sets
// GOGC decides alone.
func (g *Gateway) tuneCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	set := 0
	g.every("garbage collector", collectorAge, func(context.Context) error {
		if percent := garbagePercent(liveHeap()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		return nil
	})
}

// garbagePercent is GOGC for so many bytes in use, in steps so that it rarely changes.
func garbagePercent(live uint64) int {
	const step = 50
	percent := mostGarbage
	if live > 0 {
		percent = int(min(mostGarbage, garbage*100/live))
	}
	return max(100, percent/step*step)
}

// liveHeap returns what the last collection found in use; 0 before the first.
func liveHeap() uint64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}
