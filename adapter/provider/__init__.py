"""The provider door: between Harbor's own nginx and core, it puts the provider into Harbor's API."""

from flask import Flask

from adapter.settings import Settings
from adapter.swr.client import SwrClient


def create_provider_app(settings: Settings, swr: SwrClient) -> Flask:  # noqa: ARG001
    """Stub until the room is built."""
    return Flask("adapter.provider", static_folder=None)
