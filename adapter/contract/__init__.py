"""The contract listener: what a stock Harbor calls on a registry of type `harbor`, and `/v2` for other clients."""

from adapter.contract.app import create_contract_app

__all__ = ["create_contract_app"]
