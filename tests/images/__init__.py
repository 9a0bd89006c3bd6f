"""Images through the adapter and back, with real clients and every profile of SWR."""
