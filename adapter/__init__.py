"""harbor-swr-adapter: a stock Harbor replicates to and from SWR, the registry of Open Telekom Cloud."""

__version__ = "0.1.0"
