from __future__ import annotations

import re
from pathlib import Path

import pytest

import adapter.sandbox
from adapter.sandbox.knob_table import KNOBS
from adapter.sandbox.knobs import Knobs, parse_overrides

HOUSE = Path(adapter.sandbox.__file__).parent


def test_every_knob_has_source_and_evidence() -> None:
    assert all(re.fullmatch(r"docs/facts/swr\.md §\d+(\.\d+)?", knob.source) for knob in KNOBS)
    assert {knob.tag for knob in KNOBS} <= {"DOC", "CODE", "HW", "3P", "UNK"}
    assert len({knob.name for knob in KNOBS}) == len(KNOBS)
    assert all(not knob.choices or knob.default in knob.choices for knob in KNOBS)


@pytest.mark.parametrize("name", [knob.name for knob in KNOBS])
def test_every_knob_is_used(name: str) -> None:
    code = "".join(file.read_text() for file in HOUSE.glob("*.py") if file.name != "knob_table.py")
    assert re.search(rf'knobs\.(?:on|number|text)\(\s*"{name}"', code)


def test_overrides_are_parsed() -> None:
    assert parse_overrides(("rate=0", "oci=accept", "dockyard=off", "catalog=TRUE")) == {
        "rate": 0,
        "oci": "accept",
        "dockyard": False,
        "catalog": True,
    }


@pytest.mark.parametrize(
    "text", ["rate", "nothing=1", "rate=-1", "rate=fast", "oci=perhaps", "dockyard=maybe", "rate=²"]
)
def test_invalid_overrides_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="knob"):
        parse_overrides((text,))


@pytest.mark.parametrize(
    "values", [{"rate": "20"}, {"rate": True}, {"rate": -1}, {"oci": "no"}, {"x": 1}, {"dockyard": 1}]
)
def test_invalid_values_change_nothing(values: dict[str, object]) -> None:
    knobs = Knobs()
    with pytest.raises(ValueError, match="knob"):
        knobs.set({"expires_in": True, **values})
    assert knobs.on("expires_in") is False


def test_reset_restores_initial_values() -> None:
    knobs = Knobs({"rate": 7})
    knobs.set({"rate": 9})
    assert knobs.number("rate") == 9
    knobs.reset()
    assert knobs.number("rate") == 7


def test_knob_of_another_type_raises() -> None:
    knobs = Knobs()
    for read, name in ((knobs.on, "rate"), (knobs.number, "dockyard"), (knobs.text, "rate"), (knobs.number, "oci")):
        with pytest.raises(TypeError):
            read(name)
