from __future__ import annotations

from adapter.provider.responses import EndpointRegions


def test_the_oldest_go_first() -> None:
    remembered = EndpointRegions(most=2)
    for number in (1, 2, 1, 3):
        remembered.note(number, f"region-{number}")
    assert [number in remembered for number in (1, 2, 3)] == [True, False, True]
    assert remembered.region(1) == "region-1"
    assert remembered.region(2) is None


def test_an_endpoint_without_a_region_is_known_all_the_same() -> None:
    remembered = EndpointRegions()
    remembered.note(4, None)
    assert 4 in remembered
    remembered.forget(4)
    assert 4 not in remembered
    remembered.forget(4)
