from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import Unexpected
from adapter.swr.urls import resolve

BASE = "https://swr.example:8443/v2/org/repo/blobs/uploads/"


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("/v2/x?a=b%2Fc", "https://swr.example:8443/v2/x?a=b%2Fc"),
        ("5?x", "https://swr.example:8443/v2/org/repo/blobs/uploads/5?x"),
        ("?x", "https://swr.example:8443/v2/org/repo/blobs/uploads/?x"),
        ("//other.example/x", "https://other.example/x"),
        ("https://obs.example:443/x?Signature=a%3D", "https://obs.example:443/x?Signature=a%3D"),
    ],
)
def test_a_location_is_resolved(location: str, address: str) -> None:
    assert resolve(BASE, location).geturl() == address


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "file:///etc/passwd",
        "//[bad",
        "https://h:x/",
        "https://h:99999/",
        "https://u:p@h/",
        "/a\r\nb",
    ],
)
def test_an_invalid_location_raises(location: str | None) -> None:
    with pytest.raises(Unexpected):
        resolve(BASE, location)


@given(st.text(max_size=40))
def test_any_location_resolves_or_raises_unexpected(location: str) -> None:
    with contextlib.suppress(Unexpected):
        assert resolve(BASE, location).scheme in ("http", "https")
