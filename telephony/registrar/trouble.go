package registrar

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"time"
)

// retryPause is how long the store is left alone after it failed.
const retryPause = time.Second

func (r *Registrar) storeAway() bool { return r.failedAt.Load() != 0 }

// leftAlone says why the store is not to be asked now, if it is not.
func (r *Registrar) leftAlone() error {
	if r.storeAway() {
		return errNotAsked
	}
	return nil
}

// storeFailed notes that the store is away, if that is what the error says. A store that was not asked has not failed
// again: else phones that keep asking would keep it away for ever.
func (r *Registrar) storeFailed(what string, err error) {
	if errors.Is(err, errNotAsked) {
		return
	}
	if !errors.Is(err, ErrStoreAway) && !errors.Is(err, context.DeadlineExceeded) {
		r.log.Error("the store refused a registrar's question", "what", what, "error", err)
		return
	}
	if r.failedAt.Swap(time.Now().UnixNano()) == 0 {
		r.log.Warn("the store is away: registrations are refreshed from memory, new ones get 503",
			"what", what, "error", err)
	}
}

func (r *Registrar) storeBack() {
	failed := r.failedAt.Load()
	if failed == 0 || time.Since(time.Unix(0, failed)) < retryPause {
		return
	}
	if r.failedAt.CompareAndSwap(failed, 0) {
		r.log.Info("the store answers again")
	}
}

// panicked counts and logs a fault of the program. What it says is logged only when it is the runtime's: other values
// could hold parts of a message.
func (r *Registrar) panicked(fault any) {
	r.tally.panics.Add(1)
	known, _ := fault.(runtime.Error)
	r.log.Error("a panic while the registrar worked: it cost what caused it, and nothing else", "error", known,
		"stack", string(debug.Stack()))
}

// safely makes an error of a panic.
func (r *Registrar) safely(do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			r.panicked(fault)
			err = errFault
		}
	}()
	return do()
}

// recovered is deferred where what others gave us to call runs.
func (r *Registrar) recovered() {
	if fault := recover(); fault != nil {
		r.panicked(fault)
	}
}
