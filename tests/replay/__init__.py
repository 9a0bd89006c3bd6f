"""Plays the recorded traffic of a stock Harbor against the running adapter, in front of two different SWRs."""
