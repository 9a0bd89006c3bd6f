"""Faults to order: rules that delay, replace or cut the answers to chosen requests."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

ORIGINS = frozenset({"registry", "api", "objects"})


@dataclass
class Fault:
    """One rule. It acts on requests whose origin, method and path fit, `times` times (0: always).

    path: a regular expression, searched in the decoded path
    when: `before` the request is processed (it then never is, if there is a status or a cut at 0), or `after`
    status, headers, body: the answer instead; without a status the real one stands. A body that is no text becomes JSON
    delay: seconds before the rule acts
    read_bytes: so much of the request body is taken first (only with `before`)
    break_body_after: the request's body breaks off after so many bytes, as if the client had left; the knob
    `discard_cut_uploads` decides what becomes of them. With `when` after and a cut at 0 SWR's own side has broken
    cut_after_bytes: the connection is closed after so many bytes of the answer's body; 0: before any of the answer
    """

    path: str = ""
    origin: str | None = None
    method: str | None = None
    times: int = 1
    when: str = "before"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = ""
    delay: float = 0
    read_bytes: int = 0
    break_body_after: int | None = None
    cut_after_bytes: int | None = None

    @classmethod
    def parse(cls, value: object) -> Fault:
        """From JSON. Raises ValueError."""
        if not isinstance(value, dict):
            raise ValueError("a rule is an object")
        unknown = sorted(set(value) - {each.name for each in fields(cls)})
        if unknown:
            raise ValueError(f"a rule has no {', '.join(unknown)}")
        rule = cls(**value)
        if rule.when not in {"before", "after"} or (rule.origin is not None and rule.origin not in ORIGINS):
            raise ValueError("when is before or after; origin is registry, api or objects")
        for name in ("times", "delay", "read_bytes", "break_body_after", "status", "cut_after_bytes"):
            number = getattr(rule, name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int | float) or number < 0):
                raise ValueError(f"{name} is a number, not {number!r}")
        try:
            re.compile(rule.path)
        except (re.error, TypeError) as error:
            raise ValueError(f"path is a regular expression: {error}") from None
        return rule

    def fits(self, origin: str, method: str, path: str) -> bool:
        return (
            self.origin in {None, origin} and self.method in {None, method} and re.search(self.path, path) is not None
        )


class Faults:
    """The rules in force; the first that fits a request acts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def set(self, rules: list[Fault]) -> None:
        with self._lock:
            self._rules = list(rules)

    def all(self) -> list[dict[str, Any]]:
        """As JSON, with the times that are left."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, origin: str, method: str, path: str) -> Fault | None:
        """The rule for this request, used up by one."""
        with self._lock:
            for rule in self._rules:
                if rule.fits(origin, method, path):
                    if rule.times == 1:
                        self._rules.remove(rule)
                    elif rule.times:
                        rule.times -= 1
                    return rule
        return None
