"""The contract door: what a stock Harbor calls on a registry of its type `harbor`, and `/v2` for any other client."""

from adapter.contract.app import create_contract_app

__all__ = ["create_contract_app"]
