package e2e_test

import (
	"testing"

	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
