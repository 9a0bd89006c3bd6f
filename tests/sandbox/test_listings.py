"""Variants of SWR listings (docs/facts/swr.md §4, §4.4, §4.5)."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.sandbox.client import Sandbox, seed

TAGS = "namespaces/fresh/repos/hello/tags"


def test_page_cap_shortens_pages(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", *"abcde")
    sandbox.set(page_cap=2)
    page = sandbox.manage("GET", f"{TAGS}?limit=4&offset=1&order_column=tag&order_type=asc")
    assert ([each["Tag"] for each in page.json], page.header("Content-Range")) == (["b", "c"], "1-2/5")


def test_content_range_can_be_missing(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "a")
    sandbox.set(content_range="never")
    for query in (TAGS, f"{TAGS}?limit=4&offset=0", "repos", "repos?limit=4&offset=0"):
        assert sandbox.manage("GET", query).headers["Content-Range"] is None


def test_order_can_be_ignored(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "a", "b", "c")
    seed(sandbox.store, "fresh/again", "a")
    sandbox.set(ordering=False)
    tags = sandbox.manage("GET", f"{TAGS}?order_column=tag&order_type=asc").json
    assert [each["Tag"] for each in tags] == ["c", "b", "a"]
    repositories = sandbox.manage("GET", "repos?order_column=name&order_type=desc").json
    assert [each["name"] for each in repositories] == ["again", "hello"]


@pytest.mark.parametrize("what", [TAGS, "repos"])
def test_listings_can_require_a_filter_or_no_order(sandbox: Sandbox, what: str) -> None:
    seed(sandbox.store, "fresh/hello", "a")
    sandbox.set(listing_parameters="filter")
    assert sandbox.manage("GET", f"{what}?order_column=name").code == "SVCSTG.SWR.4000056"
    assert sandbox.manage("GET", f"{what}?filter=order_type%3A%3Aasc").status == 200
    sandbox.set(listing_parameters="unordered")
    assert sandbox.manage("GET", f"{what}?filter=order_type%3A%3Aasc").code == "SVCSTG.SWR.4000056"
    assert sandbox.manage("GET", f"{what}?limit=1&offset=0").status == 200


def test_nested_names_can_be_listed_with_dollars(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b", "v1")
    sandbox.set(listed_names="dollar")
    assert sandbox.manage("GET", "repos").json[0]["name"] == "a$b"


def test_format_of_times_is_a_knob(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "a")
    usual = sandbox.manage("GET", TAGS).json[0]["updated"]
    sandbox.set(times="blank")
    assert sandbox.manage("GET", TAGS).json[0]["updated"] == usual.replace("T", " ").removesuffix("Z")
    sandbox.set(times="empty")
    assert sandbox.manage("GET", TAGS).json[0]["created"] == ""
    assert sandbox.manage("GET", "repos").json[0]["updated_at"] == ""
    sandbox.set(times="seconds", deleted="false")
    listed = sandbox.manage("GET", TAGS).json[0]
    assert listed["updated"] == int(datetime.fromisoformat(usual).timestamp())
    assert listed["deleted"] is False
