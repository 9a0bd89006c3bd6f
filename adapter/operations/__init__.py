"""The operations door: probes now; metrics and the status page stand here too when they come."""

from adapter.operations.probes import create_operations_app

__all__ = ["create_operations_app"]
