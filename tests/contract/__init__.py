"""The contract listener: a real adapter in front of a real sandbox, over real sockets."""
