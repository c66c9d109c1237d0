package gateway

// Limit is for tests of the bounds of an HTTP listener.
var Limit = limit
