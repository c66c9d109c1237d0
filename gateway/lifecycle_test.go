package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"demarc/gateway"
)

func TestStepsThatFailAreCounted(t *testing.T) {
	steps, enough := 0, make(chan struct{})
	stop := gateway.Failing(slog.New(slog.DiscardHandler), time.Millisecond, func(ctx context.Context) error {
		switch steps++; {
		case steps == 2:
			return nil
		case steps == 4:
			close(enough)
			<-ctx.Done() // the end is no failure
			return ctx.Err()
		}
		return errors.New("as told")
	})
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("the step was not tried again")
	}
	if n := stop(); n != 2 {
		t.Errorf("%d failures counted of 2", n)
	}
}
