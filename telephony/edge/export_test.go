package edge

// ReadRegister lets the tests reach the reader without a socket.
var ReadRegister = readRegister
