"""A stand-in for SWR, as awkward as SWR is documented or observed to be.

It stands alone: nothing of the adapter is used here.

It is **not** evidence about SWR. Every quirk is a knob in `knobs.py`, with the line of
`docs/facts/swr.md` it comes from.
"""
