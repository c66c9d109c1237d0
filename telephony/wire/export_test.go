package wire

// HeadEnd lets the tests find the end of a head.
var HeadEnd = headEnd
