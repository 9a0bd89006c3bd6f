"""What is translated and translated back is what it was; what is not ours is never touched."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.provider.constants import NAME, NAMES
from adapter.provider.endpoints import Endpoints
from adapter.provider.json_edit import respelled
from adapter.provider.requests import RequestTranslation
from adapter.provider.responses import EndpointRegions, ResponseTranslation
from adapter.swr.client import BUILT_IN

relaxed = settings(deadline=None)

ADAPTER = "http://adapter:8080"
ENDPOINTS = Endpoints(ADAPTER, BUILT_IN)
INWARD = RequestTranslation(ENDPOINTS, "harbor")
TRANSLATED = {"id", "type", "url", "credential", "access_key", "access_secret"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
others = st.dictionaries(st.text(max_size=8).filter(lambda key: key.lower() not in TRANSLATED), json_values, max_size=3)
words = st.text("ABCDEFGHIJ0123456789", min_size=1, max_size=40)
access_ids = st.builds(
    lambda region, team, key: f"{region}{team}@{key}",
    st.sampled_from(sorted(BUILT_IN)),
    st.sampled_from(["", "_t"]),
    words,
)
secrets = words
foreign_urls = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.sampled_from(
        ["https://registry.example", "http://adapter:8081", "http://adapter", *(h.registry for h in BUILT_IN.values())]
    ),
).filter(lambda url: not ENDPOINTS.is_adapter(url))
foreign_types = st.one_of(st.none(), st.text(), st.sampled_from(["harbor", "docker-registry", "docker-hub"])).filter(
    lambda kind: kind not in NAMES
)


def outward() -> ResponseTranslation:
    return ResponseTranslation(ENDPOINTS, EndpointRegions())


@st.composite
def ours(draw: st.DrawFn) -> dict[str, Any]:
    """An endpoint as core stores it."""
    credential = {"access_key": draw(access_ids), "access_secret": draw(secrets), "type": "basic"}
    number = draw(st.integers(1, 2**40))
    return {**draw(others), "id": number, "type": "harbor", "url": ADAPTER, "credential": credential}


@st.composite
def foreign(draw: st.DrawFn) -> dict[str, Any]:
    endpoint = draw(others)
    for key, values in (("type", foreign_types), ("url", foreign_urls), ("credential", json_values)):
        if draw(st.booleans()):
            endpoint[key] = draw(values)
    return {**endpoint, "id": draw(st.integers(1, 2**40))}


@relaxed
@given(ours())
def test_in_after_out_is_what_was_stored(stored: dict[str, Any]) -> None:
    shown = outward().registry(stored)
    assert shown["type"] == NAME
    assert ENDPOINTS.region_of_url(shown["url"]) == ENDPOINTS.region_of_access_id(stored["credential"]["access_key"])
    order = INWARD.create(shown)
    assert order.document == stored
    assert order.credentials is not None


@relaxed
@given(ours(), st.sampled_from(sorted(NAMES)))
def test_out_after_in_is_what_was_typed(stored: dict[str, Any], name: str) -> None:
    region = ENDPOINTS.region_of_access_id(stored["credential"]["access_key"]) or ""
    typed = {**stored, "type": name, "url": ENDPOINTS.registry(region)}
    assert outward().registry(INWARD.create(typed).document) == {**typed, "type": NAME}


@relaxed
@given(ours(), st.lists(foreign(), max_size=3))
def test_edit_of_what_a_page_showed_stores_the_same(stored: dict[str, Any], more: list[dict[str, Any]]) -> None:
    shown = outward().registries([stored, *more])
    assert all(new is old for new, old in zip(shown[1:], more, strict=True))
    flat = {"url": shown[0]["url"], "access_key": stored["credential"]["access_key"]}
    assert INWARD.edit(flat, stored).document["url"] == ADAPTER


@relaxed
@given(foreign())
def test_what_is_not_ours_passes_both_ways(endpoint: dict[str, Any]) -> None:
    out = outward()
    listed, policy, summary = [endpoint], {"src_registry": endpoint, "dest_registry": None}, {"registry": endpoint}
    policies = [policy]
    assert out.registry(endpoint) is endpoint
    assert out.registries(listed) is listed
    assert out.policies(policies) is policies
    assert out.summary(summary) is summary
    assert INWARD.create(endpoint).document is endpoint
    assert INWARD.ping(endpoint, None).document is endpoint
    assert INWARD.edit(endpoint, endpoint).document is endpoint
    assert INWARD.ping(endpoint, endpoint).document is endpoint


@relaxed
@given(json_values)
def test_no_shape_surprises(document: Any) -> None:
    out = outward()
    for translate in (out.registry, out.registries, out.policy, out.policies, out.summary):
        assert translate(document) is document
    for order in (INWARD.create(document), INWARD.ping(document, None)):
        assert order.document is document


@relaxed
@given(st.lists(json_values), st.data())
def test_respelled_documents_are_equal_and_keep_spellings(before: list[Any], data: st.DataObject) -> None:
    indent = data.draw(st.sampled_from([None, 0, 3]))
    text = "\n " + json.dumps(before, indent=indent, ensure_ascii=data.draw(st.booleans())) + " \n"
    read = json.loads(text)
    after = [data.draw(json_values) if data.draw(st.booleans()) else each for each in read]
    after += data.draw(st.lists(json_values, max_size=2))
    result = respelled(text, read, after)
    assert json.loads(result) == after
    assert respelled(text, read, read) == text


@relaxed
@given(st.dictionaries(st.text(max_size=5), json_values), st.data())
def test_respelled_objects(before: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(before, indent=data.draw(st.sampled_from([None, 1])))
    read = json.loads(text)
    after = {key: value for key, value in read.items() if data.draw(st.booleans())}
    after |= data.draw(st.dictionaries(st.text(max_size=5), json_values, max_size=3))
    assert json.loads(respelled(text, read, after)) == after
