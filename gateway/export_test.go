package gateway

// Limit is for tests of the bounds of an HTTP listener.
var Limit = limit

// GarbagePercent is for the table of the collector's settings.
var GarbagePercent = garbagePercent
