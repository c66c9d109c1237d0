// Package shipped builds demarc as make build and the release do: without cgo, and with the profile in cmd/demarc by which
// the compiler optimises. What the tests try and the bench measures is then what people install.
package shipped

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build makes the program in dir and returns its path. An error holds what go build said.
func Build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "demarc")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "demarc/cmd/demarc")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, said)
	}
	return program, nil
}
