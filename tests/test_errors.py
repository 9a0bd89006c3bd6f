from __future__ import annotations

import importlib
import pkgutil
import re

import adapter
from adapter import errors
from adapter.errors import AdapterError


def subclasses(kind: type[AdapterError]) -> list[type[AdapterError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


def test_docstring_tree_shows_every_class_below_its_base() -> None:
    lines = re.findall(r"^ {4}([│ ├└─]*)(\w+)", errors.__doc__ or "", re.MULTILINE)
    drawn, path = [], [""]
    for branch, name in lines:
        depth = len(branch) // 4
        path[depth + 1 :] = [name]
        drawn.append((name, path[depth]))
    kinds = [kind for kind in subclasses(AdapterError) if kind.__module__.startswith(errors.__name__)]
    expected = [(kind.__name__, "" if kind is AdapterError else kind.__bases__[0].__name__) for kind in kinds]
    assert sorted(drawn) == sorted(expected)
    assert sorted(errors.__all__) == sorted(kind.__name__ for kind in kinds)


def test_every_error_has_a_status_a_code_and_an_id_of_its_own() -> None:
    for module in pkgutil.walk_packages(adapter.__path__, "adapter."):
        if module.name != "adapter.__main__":
            importlib.import_module(module.name)
    kinds = [kind for kind in subclasses(AdapterError) if kind.__module__.startswith("adapter.")]
    assert [kind for kind in kinds if not re.fullmatch(r"[a-z]+(-[a-z]+)*", vars(kind).get("id", ""))] == []
    assert len({kind.id for kind in kinds}) == len(kinds)
    assert [
        kind for kind in kinds if kind.status not in range(400, 600) or not re.fullmatch("[A-Z_]+", kind.code)
    ] == []


def test_only_an_existing_organization_is_a_conflict_of_a_project() -> None:
    """Harbor treats 409 as success when it creates a project; the other 409 concerns blobs only."""
    conflicts = {kind.__name__ for kind in subclasses(AdapterError) if kind.status == 409}
    assert conflicts == {"OrganizationExists", "UploadBusy"}
