"""The operations port: probes and the log. Metrics and the status page belong here too."""

from adapter.operations.probes import create_operations_app

__all__ = ["create_operations_app"]
