package transaction

import (
	"time"

	"demarc/internal/wheel"
)

// queue holds what lasts equally long, so that it ends in the order in which it began, with texts beside. All have one timer together,
// and are numbered on; a number says where in which page something stands. The lock of whoever has the queue guards it.
type queue[E any] struct {
	wheel *wheel.Wheel
	timer wheel.Timer // for the oldest
	keep  time.Duration

	pages       []*page[E]
	spare       []*page[E]
	first, next uint32 // the number of the oldest, and of the one to come
}

// page holds those of a while. What a page says of itself and the texts comes first: the garbage collector looks no further where E has no
// pointers.
type page[E any] struct {
	texts []byte
	until [pageSize]time.Duration // the wheel's time
	all   [pageSize]E
}

const (
	pageSize     = 64
	sparePages   = 4
	largestTexts = 64 << 10 // of a page that is used again, bytes

	// together is how much longer than its time something may stay in memory, so that many go at once. Nobody finds it any more.
	together = 50 * time.Millisecond
)

func (q *queue[E]) init(w *wheel.Wheel, keep time.Duration, owner wheel.Owner) {
	q.wheel, q.keep, q.timer.Owner = w, keep, owner
}

// push adds one, which is to be filled in, and returns its number and the texts of its page, which may be appended to.
func (q *queue[E]) push() (one *E, texts *[]byte, number uint32) {
	number = q.next
	if number%pageSize == 0 {
		q.pages = append(q.pages, q.blank())
	}
	p := q.pages[len(q.pages)-1]
	until := q.wheel.Now() + q.keep
	p.until[number%pageSize] = until
	if q.first == q.next {
		q.wheel.SetAt(&q.timer, until+together)
	}
	q.next++
	return &p.all[number%pageSize], &p.texts, number
}

func (q *queue[E]) blank() *page[E] {
	n := len(q.spare)
	if n == 0 {
		p := new(page[E])
		if full := len(q.pages); full > 0 { // its texts will be about as long as those of the last one
			size := len(q.pages[full-1].texts)
			p.texts = make([]byte, 0, size+size/8)
		}
		return p
	}
	p := q.spare[n-1]
	q.spare[n-1], q.spare = nil, q.spare[:n-1]
	p.texts = p.texts[:0]
	return p
}

// at returns what has a number, and the texts of its page.
func (q *queue[E]) at(number uint32) (one *E, texts []byte) {
	p := q.page(number)
	return &p.all[number%pageSize], p.texts
}

func (q *queue[E]) page(number uint32) *page[E] {
	return q.pages[(number-q.first&^(pageSize-1))/pageSize]
}

// lasts reports whether the time of what has a number is not over.
func (q *queue[E]) lasts(number uint32) bool { return q.left(number) > 0 }

func (q *queue[E]) left(number uint32) time.Duration {
	return q.page(number).until[number%pageSize] - q.wheel.Now()
}

func (q *queue[E]) empty() bool { return q.first == q.next }

// sweep lets those end whose time is over: ended is told of each. Afterwards the timer is set for the next one.
func (q *queue[E]) sweep(ended func(one *E, number uint32)) {
	now := q.wheel.Now()
	for !q.empty() {
		p := q.pages[0]
		at := q.first % pageSize
		if now < p.until[at] {
			q.wheel.SetAt(&q.timer, p.until[at]+together)
			return
		}
		ended(&p.all[at], q.first)
		q.pop()
	}
	q.clear()
}

// pop takes the oldest out.
func (q *queue[E]) pop() {
	if q.first++; q.first%pageSize != 0 {
		return
	}
	p := q.pages[0]
	q.pages[0], q.pages = nil, q.pages[1:]
	if len(q.spare) < sparePages && cap(p.texts) <= largestTexts {
		q.spare = append(q.spare, p)
	}
}

// clear empties the queue, and gives back what a burst needed.
func (q *queue[E]) clear() {
	q.wheel.Stop(&q.timer)
	q.pages, q.spare, q.first, q.next = nil, nil, 0, 0
}
