"""How the contract door behaves: a real adapter in front of a real sandbox, asked over real sockets."""
