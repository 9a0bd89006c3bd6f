"""Fault injection: rules that delay, replace or cut the responses to selected requests."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

ORIGINS = frozenset({"registry", "api", "objects"})


@dataclass
class Fault:
    """One rule. It applies to requests with this origin, method and path.

    path: a regular expression, searched in the decoded path.
    times: number of requests that the rule applies to; 0: all.
    when: `before` or `after` the request is processed. Before: with a status, or with `cut_after_bytes` 0, the request
    is not processed at all.
    status, headers, body: the response to send; without a status, the real response. A body that is not text is sent
    as JSON.
    delay: seconds before the rule applies.
    read_bytes: bytes of the request body to read first (only with `before`).
    break_body_after: bytes of the request body after which reading fails, as if the client had disconnected. The knob
    `discard_cut_uploads` decides about the upload. With `when` after and `cut_after_bytes` 0, SWR itself failed.
    cut_after_bytes: bytes of the response body after which the connection is closed; 0: before the response.
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
        """A rule from its JSON object.

        :raises ValueError: when the rule is invalid.
        """
        if not isinstance(value, dict):
            raise ValueError("fault rule: expected a JSON object")
        unknown = sorted(set(value) - {each.name for each in fields(cls)})
        if unknown:
            raise ValueError(f"fault rule: unknown key {', '.join(unknown)}")
        rule = cls(**value)
        if rule.when not in {"before", "after"} or (rule.origin is not None and rule.origin not in ORIGINS):
            raise ValueError("fault rule: `when` must be before or after; `origin` must be registry, api or objects")
        for name in ("times", "delay", "read_bytes", "break_body_after", "status", "cut_after_bytes"):
            number = getattr(rule, name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int | float) or number < 0):
                raise ValueError(f"fault rule: `{name}` must be a number of 0 or greater, got {number!r}")
        try:
            re.compile(rule.path)
        except (re.error, TypeError) as error:
            raise ValueError(f"fault rule: `path` is not a valid regular expression: {error}") from None
        return rule

    def matches(self, origin: str, method: str, path: str) -> bool:
        return (
            self.origin in {None, origin} and self.method in {None, method} and re.search(self.path, path) is not None
        )


class Faults:
    """The current rules. The first rule that matches a request applies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def set(self, rules: list[Fault]) -> None:
        with self._lock:
            self._rules = list(rules)

    def all(self) -> list[dict[str, Any]]:
        """All rules as JSON objects; `times` is what is left of it."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, origin: str, method: str, path: str) -> Fault | None:
        """The rule for this request; reduces its `times` by one."""
        with self._lock:
            for rule in self._rules:
                if rule.matches(origin, method, path):
                    if rule.times == 1:
                        self._rules.remove(rule)
                    elif rule.times:
                        rule.times -= 1
                    return rule
        return None
