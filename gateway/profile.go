package gateway

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"
)

// longestProfile bounds how long a CPU profile may be asked for.
const longestProfile = 5 * time.Minute

// profile answers GET /profile/cpu?seconds=N, /profile/heap and /profile/goroutines in the format of "go tool pprof": where the
// process spends its time and memory, by functions. Nothing that the process handles stands in it. The operator's socket alone
// has it, for a profile costs time.
func profile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	kind := r.PathValue("kind")
	switch kind {
	case "cpu":
		profileCPU(w, r)
	case "heap":
		runtime.GC()                           // what is garbage is of no interest
		_ = pprof.Lookup("heap").WriteTo(w, 0) // who asked has gone
	case "goroutines":
		_ = pprof.Lookup("goroutine").WriteTo(w, 0)
	default:
		refuseProfile(w, http.StatusNotFound, fmt.Sprintf("there is no profile %q: ask for cpu, heap or goroutines", kind))
	}
}

func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	length := time.Duration(seconds) * time.Second
	if err != nil || length <= 0 || length > longestProfile {
		refuseProfile(w, http.StatusBadRequest, fmt.Sprintf("seconds must be 1 to %d", int(longestProfile.Seconds())))
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(length + 30*time.Second)); err != nil {
		refuseProfile(w, http.StatusInternalServerError, err.Error())
		return
	}
	if pprof.StartCPUProfile(w) != nil {
		refuseProfile(w, http.StatusConflict, "another CPU profile is being taken: wait until that is done")
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
}

// refuseProfile says no in the shape of the API's problems (RFC 9457).
func refuseProfile(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"status":%d,"detail":%q}`, status, detail)
}
