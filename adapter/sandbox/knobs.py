"""The knobs of a running sandbox and their current values."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from adapter.sandbox.knob import Value
from adapter.sandbox.knob_table import KNOBS


def parse_overrides(pairs: list[str] | tuple[str, ...]) -> dict[str, Value]:
    """Values by knob, from texts of the form `name=value`.

    :raises ValueError: for an unknown name or a value that does not fit.
    """
    table = {knob.name: knob for knob in KNOBS}
    values: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in table:
            raise ValueError(f"unknown knob: {name!r}" if equals else f"knob: expected name=value, got {pair!r}")
        values[name] = table[name].parse(text)
    return values


class Knobs:
    """The current values of the knobs; thread-safe."""

    def __init__(self, overrides: Mapping[str, Value] | None = None) -> None:
        self._table = {knob.name: knob for knob in KNOBS}
        self._lock = threading.Lock()
        self._initial: dict[str, Value] = {knob.name: knob.default for knob in KNOBS}
        self._initial.update(self._checked(overrides or {}))
        self._values = dict(self._initial)

    def _checked(self, values: Mapping[str, object]) -> dict[str, Value]:
        unknown = sorted(set(values) - set(self._table))
        if unknown:
            raise ValueError(f"unknown knob: {', '.join(unknown)}")
        return {name: self._table[name].check(value) for name, value in values.items()}

    def set(self, values: Mapping[str, object]) -> None:
        """Sets these knobs: all of them, or none after an error.

        :raises ValueError: for an unknown name or a value that does not fit.
        """
        checked = self._checked(values)
        with self._lock:
            self._values = {**self._values, **checked}

    def reset(self) -> None:
        """Restores the values that the sandbox was started with."""
        with self._lock:
            self._values = dict(self._initial)

    def all(self) -> dict[str, Value]:
        return dict(self._values)

    def on(self, name: str) -> bool:
        value = self._values[name]
        if not isinstance(value, bool):
            raise TypeError(f"knob {name} is not a switch")
        return value

    def number(self, name: str) -> int:
        value = self._values[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"knob {name} is not a number")
        return value

    def text(self, name: str) -> str:
        value = self._values[name]
        if not isinstance(value, str):
            raise TypeError(f"knob {name} is not a text")
        return value
