"""Manifests between Harbor and SWR: what SWR supports, and conversion to Docker formats where it rejects OCI."""
