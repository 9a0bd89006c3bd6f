"""A page of `openapi/`: its operations, and what stands at a place of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

METHODS: Final = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


class Operation(NamedTuple):
    """One method of one path; `where` is its place in the document, as JSON pointers are written."""

    method: str
    template: str
    where: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def escaped(name: str) -> str:
    """As a part of a place."""
    return name.replace("~", "~0").replace("/", "~1")


class Page:
    """`root` is the document."""

    def __init__(self, name: str) -> None:
        self.root: dict[str, Any] = yaml.safe_load((Path(__file__).parent.parent / "openapi" / name).read_text())

    def resolved(self, where: str) -> tuple[str, Any]:
        """What stands at a place, with the place where it really stands: `$ref`s are followed."""
        node: Any = self.root
        for part in where.split("/")[1:]:
            node = node[int(part)] if isinstance(node, list) else node[part.replace("~1", "/").replace("~0", "~")]
        return self.resolved(node["$ref"][1:]) if isinstance(node, dict) and "$ref" in node else (where, node)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(
            Operation(method.upper(), template, f"/paths/{escaped(template)}/{method}")
            for template, item in self.root["paths"].items()
            for method in item
            if method in METHODS
        )

    def parameters(self, operation: Operation) -> tuple[tuple[str, Any], ...]:
        """(place in the document, parameter), those of the path too."""
        return tuple(
            self.resolved(f"{owner}/parameters/{at}")
            for owner in (operation.where.rpartition("/")[0], operation.where)
            for at in range(len(self.resolved(owner)[1].get("parameters", [])))
        )
