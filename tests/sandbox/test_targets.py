"""Where a played request goes."""

from __future__ import annotations

import pytest

from adapter.sandbox.recording import Request
from adapter.sandbox.targets import PlayError, asked_mount, encode_query, mount_target, next_target, parse_query

UPLOADS = "/v2/landing/hello/blobs/uploads/"


def request(target: str, method: str = "POST") -> Request:
    return Request(method, target, (), None, None)


def test_mount_is_from_the_repository_that_was_named() -> None:
    recorded = request(f"{UPLOADS}?mount=sha256:ab&from=source/many&x=from=1")
    assert asked_mount(recorded) == b"sha256:ab"
    assert mount_target(recorded, "a/b/c") == f"{UPLOADS}?mount=sha256:ab&from=a/b/c&x=from=1"
    assert mount_target(request(f"{UPLOADS}?from=x&mount=sha256:ab"), "a/b") == f"{UPLOADS}?from=a/b&mount=sha256:ab"


@pytest.mark.parametrize(
    "other",
    [request(UPLOADS), request(f"{UPLOADS}?mount=sha256:ab"), request(f"{UPLOADS}?mount=sha256:ab&from=a/b", "GET")],
)
def test_what_is_no_mount(other: Request) -> None:
    assert asked_mount(other) is None


def test_mount_from_nowhere() -> None:
    with pytest.raises(PlayError, match="no repository was named"):
        mount_target(request(f"{UPLOADS}?mount=sha256:ab&from=a/b"), None)


def test_query_as_go_encodes_it() -> None:
    """`url.Values.Encode` and `url.ParseQuery`: sorted keys, `+` for a space, upper-case escapes, bad pairs dropped."""
    pairs = parse_query("b=2&a=x+y%20z&&b=1&_state=A-_.~%3d%3D&bad=%zz&semi=a;b&flag&k=*!'()/")
    assert encode_query(pairs) == "_state=A-_.~%3D%3D&a=x+y+z&b=2&b=1&flag=&k=%2A%21%27%28%29%2F"


def test_digest_replaces_one_that_is_there() -> None:
    assert next_target("/u?digest=old&z=1", "http://h", b"sha256:ab") == "/u?digest=sha256%3Aab&z=1"
    assert next_target("/u", "http://h", b"sha256:ab") == "/u?digest=sha256%3Aab"
    assert next_target("http://h/u", "http://h", None) == "/u"


def test_location_beyond_ascii() -> None:
    with pytest.raises(PlayError, match="no path of the endpoint"):
        next_target("/ü", "http://h", None)
