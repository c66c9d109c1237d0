package directory

// Brake reports whether a users file takes so many of those away who were in the directory that a mistake is more likely than a wish: a file
// that was cut short, or written by a script that got an empty answer. It is all of them, or more than five and a tenth.
func Brake(before, removed int) bool {
	return removed > 0 && (removed == before || removed > 5 && removed*10 > before)
}
