"""The provider door, as a process between a client that sends raw requests and a core that is played."""
