"""Bytes in flight between Harbor and SWR. No Flask here."""
