from __future__ import annotations

import re

from adapter import errors
from adapter.errors import AdapterError


def tree(kind: type[AdapterError]) -> list[type[AdapterError]]:
    return [kind] + [
        below for child in kind.__subclasses__() if child.__module__ == errors.__name__ for below in tree(child)
    ]


def test_the_picture_shows_the_tree() -> None:
    """Each class stands in the module's picture, at the depth it has."""
    pictured = re.findall(r"^ {4}([│ ├└─]*)(\w+)", errors.__doc__ or "", re.MULTILINE)
    drawn = [(name, len(branch) // 4) for branch, name in pictured]
    assert drawn == [(kind.__name__, len(kind.__mro__) - len(AdapterError.__mro__)) for kind in tree(AdapterError)]


def test_all_have_a_status_and_a_code() -> None:
    for kind in tree(AdapterError):
        assert 400 <= kind.status < 600
        assert re.fullmatch(r"[A-Z_]+", kind.code)


def test_an_existing_organization_is_the_only_conflict_of_a_project() -> None:
    """Harbor takes 409 for success when it creates a project; the other one is of blobs alone."""
    conflicts = {kind.__name__ for kind in tree(AdapterError) if kind.status == 409}
    assert conflicts == {"OrganizationExists", "UploadBusy"}
