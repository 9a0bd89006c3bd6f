"""What the adapter calls: SWR's registry, token endpoint and management API. No Flask here."""
