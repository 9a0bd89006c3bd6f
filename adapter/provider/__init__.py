"""The provider port: a proxy between Harbor's nginx and Harbor core that adds the SWR provider to Harbor's API.

It stores nothing and has no credentials of its own (`docs/facts/harbor.md 0, A, B, H`).
"""

from adapter.provider.app import create_provider_app

__all__ = ["create_provider_app"]
