package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"demarc/gateway"
)

// Faults are an object whether there are any or not: scripts read both answers alike.
func TestHealthHasOneForm(t *testing.T) {
	if got := gateway.Health("/livez"); got.Code != 200 || strings.TrimSpace(got.Body.String()) != `{"faults":{},"status":"ok"}` {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func TestSilenceIsSaidInWords(t *testing.T) {
	if got := gateway.Silence(fmt.Errorf("asking: %w", context.DeadlineExceeded)); !strings.HasPrefix(got, "nothing came back within 10s") {
		t.Error(got)
	}
	if got := gateway.Silence(errors.New("430 Flow Failed")); got != "430 Flow Failed" {
		t.Error(got)
	}
}
