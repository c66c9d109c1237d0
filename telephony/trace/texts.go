package trace

// texts keeps the memory of forgotten messages for the next ones, by size in steps. Nearly all messages of phones are
// smaller than the largest step; larger ones get memory of their own.
type texts [largestStep][][]byte

const (
	textStep    = 128 // bytes
	largestStep = 16  // steps
	maxFree     = 16  // pieces of each size
)

// take returns an empty slice with room for n bytes.
func (t *texts) take(n int) []byte {
	step := (n + textStep - 1) / textStep
	if step == 0 || step > largestStep {
		return make([]byte, 0, n)
	}
	free := &t[step-1]
	if last := len(*free) - 1; last >= 0 {
		b := (*free)[last]
		*free = (*free)[:last]
		return b[:0]
	}
	return make([]byte, 0, step*textStep)
}

// give takes memory back that nobody looks at any more.
func (t *texts) give(b []byte) {
	step := cap(b) / textStep
	if step == 0 || step > largestStep || cap(b)%textStep != 0 || len(t[step-1]) >= maxFree {
		return
	}
	t[step-1] = append(t[step-1], b)
}
