"""HTTP plumbing shared by the SWR client and the provider proxy: connections, strict responses, request context."""
