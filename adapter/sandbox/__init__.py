"""A simulator of SWR, with the restrictions that SWR is documented or was observed to have.

The sandbox imports nothing from the rest of the adapter, so that one mistake cannot hide in both.

The sandbox is **not** evidence about SWR. Each behavior is a knob in `knob_table.py`, with the section of
`docs/facts/swr.md` that it is taken from.
"""
