package trace

// ParameterEnds returns where the quick look at a parameter and the close one find its end.
func ParameterEnds(b []byte) (usual, close int) { return usualEnd(b), closeEnd(b) }
