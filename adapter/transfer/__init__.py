"""Transfer of blobs between Harbor and SWR. No Flask."""
