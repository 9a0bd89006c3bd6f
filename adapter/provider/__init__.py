"""The provider door: between Harbor's own nginx and core, it puts the provider into Harbor's API.

`docs/facts/harbor.md 0, A, B, H`. It holds no credentials and stores nothing.
"""

from adapter.provider.app import create_provider_app

__all__ = ["create_provider_app"]
