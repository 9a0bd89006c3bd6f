"""Sealed upload locations: valid for one upload of one access key. `tests/transfer/test_upload_session.py` has more."""

from __future__ import annotations

import re

import pytest

from adapter.credentials import parse_credentials
from adapter.swr.client import region_table
from tests.contract.conftest import OTHER, PUBLIC_HOST
from tests.contract.http import SMALL, Door, digest_of, refused, silent, with_query
from tests.credentials import ACCESS_ID, SECRET_KEY, basic
from tests.running import RunningSandbox

CREDENTIALS = parse_credentials(ACCESS_ID, SECRET_KEY, region_table({}))
methods = pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])


def body_of(method: str) -> bytes | None:
    return None if method in {"GET", "DELETE"} else SMALL


@methods
@pytest.mark.parametrize("how", ["cut", "changed", "of another repository", "made up"])
def test_invalid_location(door: Door, swr: RunningSandbox, repository: str, method: str, how: str) -> None:
    location = door.ask("PATCH", door.start(repository), SMALL).header("Location")
    token = location.rpartition("/")[2]
    invalid = {
        "cut": location[:-3],
        "changed": location.replace(token, token[:9] + ("A" if token[9] != "A" else "B") + token[10:]),
        "of another repository": location.replace(repository, f"{repository}-other"),
        "made up": f"/v2/{repository}/blobs/uploads/6f2d3c1a-0000-4000-8000-000000000000",
    }[how]
    with silent(swr, tokens=True):
        answer = door.ask(method, with_query(invalid, digest=digest_of(SMALL)), body_of(method))
    refused(answer, 404, "start the upload again", code="BLOB_UPLOAD_UNKNOWN")


@methods
def test_other_credentials(door: Door, repository: str, method: str) -> None:
    """A wrong secret is reported as that: it is the key of the signature, so no location is valid with it."""
    target = with_query(door.start(repository), digest=digest_of(SMALL))
    answer = door.ask(method, target, body_of(method), authorization=OTHER)
    refused(answer, 404, "owned by another account", code="NAME_UNKNOWN")
    answer = door.ask(method, target, body_of(method), authorization=basic(ACCESS_ID, "0" * 64))
    refused(answer, 401, code="UNAUTHORIZED")
    assert answer.header("WWW-Authenticate")


@pytest.mark.parametrize("order", [1, -1])
def test_query_in_any_order(door: Door, repository: str, order: int) -> None:
    path, _, query = door.ask("PATCH", door.start(repository), SMALL).header("Location").partition("?")
    digest = f"digest={digest_of(SMALL).replace(':', '%3A')}"
    parts = sorted([*filter(None, query.split("&")), digest, "a=1", "z=2"])[::order]
    assert door.ask("PUT", f"{path}?{'&'.join(parts)}", b"").status == 201


def test_absolute_only_for_the_public_host(strict_door: Door, repository: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/"
    public = strict_door.ask("POST", path, b"", {"Host": PUBLIC_HOST}).header("Location")
    assert public.startswith(f"https://{PUBLIC_HOST}{path}")
    for host in ("10.0.0.1:8080", "evil.example", ""):
        assert strict_door.ask("POST", path, b"", {"Host": host}).header("Location").startswith(path)
    answer = strict_door.ask("PATCH", public, SMALL, {"Host": PUBLIC_HOST})
    assert answer.header("Location").startswith(f"https://{PUBLIC_HOST}{path}")
    assert strict_door.put(answer.header("Location"), digest_of(SMALL), b"").status == 201


def test_location_of_swr_is_hidden(door: Door, repository: str, swr: RunningSandbox) -> None:
    assert re.fullmatch(rf"/v2/{repository}/blobs/uploads/[\w.-]+", door.start(repository))
