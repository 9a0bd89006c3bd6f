"""The provider port, between a client that sends raw requests and a scripted core."""
