"""What breaks on the way: a proxy that injects faults between client, adapter, SWR and object store."""
