package edge

// ReadRegister lets the tests reach the reader without a socket.
var ReadRegister = readRegister

// STUNReply lets the tests reach the STUN reader without a socket.
var STUNReply = stunReply
