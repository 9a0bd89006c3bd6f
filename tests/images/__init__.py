"""Images through the adapter and back, with real clients, whatever SWR takes of them."""
