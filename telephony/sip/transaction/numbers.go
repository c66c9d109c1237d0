package transaction

// numbers finds the numbers of echoes by their sums. It is a table of open addressing without pointers: what is looked for is mostly
// not there, and that is seen in one line of the processor's cache. A sum may have several numbers.
type numbers struct {
	slots []slot // a power of two of them, half at least empty
	used  int
}

type slot struct{ hash, number uint32 } // hash 0: it is empty

const fewSlots = 16

// hashOf returns a part of a sum, never 0. Sums are spread by seeds that nobody knows.
func hashOf(s sum) uint32 { return uint32(s[0]) | 1<<31 }

func (n *numbers) home(hash uint32) int { return int(hash) & (len(n.slots) - 1) }
func (n *numbers) after(i int) int      { return (i + 1) & (len(n.slots) - 1) }

// find returns a number of the sum that is right.
func (n *numbers) find(s sum, right func(number uint32) bool) (number uint32, ok bool) {
	if n.used == 0 {
		return 0, false
	}
	hash := hashOf(s)
	for i := n.home(hash); n.slots[i].hash != 0; i = n.after(i) {
		if n.slots[i].hash == hash && right(n.slots[i].number) {
			return n.slots[i].number, true
		}
	}
	return 0, false
}

func (n *numbers) add(s sum, number uint32) {
	if 2*(n.used+1) > len(n.slots) {
		n.grow()
	}
	n.used++
	n.place(slot{hashOf(s), number})
}

func (n *numbers) grow() {
	before := n.slots
	n.slots = make([]slot, max(fewSlots, 2*len(before)))
	for _, one := range before {
		if one.hash != 0 {
			n.place(one)
		}
	}
}

func (n *numbers) place(one slot) {
	i := n.home(one.hash)
	for n.slots[i].hash != 0 {
		i = n.after(i)
	}
	n.slots[i] = one
}

// remove takes a number away that is there, and moves those that stand behind it only because of it.
func (n *numbers) remove(s sum, number uint32) {
	gap := n.home(hashOf(s))
	for n.slots[gap].number != number || n.slots[gap].hash == 0 {
		gap = n.after(gap)
	}
	for i := n.after(gap); n.slots[i].hash != 0; i = n.after(i) {
		if way := n.home(n.slots[i].hash); (i-way)&(len(n.slots)-1) >= (i-gap)&(len(n.slots)-1) {
			n.slots[gap], gap = n.slots[i], i
		}
	}
	n.slots[gap] = slot{}
	n.used--
}
