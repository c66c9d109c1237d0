package provisioning

import (
	"demarc/internal/timeline"
	"demarc/telephony"
)

// Remark is an entry for the timeline of whoever has a credential of an AoR: telephony knows people by that alone. The
// entry's User is empty.
type Remark struct {
	AoR   telephony.AoR
	Entry timeline.Entry
}
