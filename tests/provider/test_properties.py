"""Translation and its reverse restore a document, and endpoints of other registries are never changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.provider.constants import NAME, NAMES
from adapter.provider.endpoints import Endpoints
from adapter.provider.request_translation import RequestTranslation
from adapter.provider.response_translation import EndpointRegions, ResponseTranslation
from adapter.swr.client import BUILT_IN_REGIONS

relaxed = settings(deadline=None)

ADAPTER = "http://adapter:8080"
ENDPOINTS = Endpoints(ADAPTER, BUILT_IN_REGIONS)
REQUESTS = RequestTranslation(ENDPOINTS, "harbor")
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
    st.sampled_from(sorted(BUILT_IN_REGIONS)),
    st.sampled_from(["", "_t"]),
    words,
)
secrets = words
other_urls = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.sampled_from(
        [
            "https://registry.example",
            "http://adapter:8081",
            "http://adapter",
            *(h.registry for h in BUILT_IN_REGIONS.values()),
        ]
    ),
).filter(lambda url: not ENDPOINTS.is_adapter(url))
other_types = st.one_of(st.none(), st.text(), st.sampled_from(["harbor", "docker-registry", "docker-hub"])).filter(
    lambda kind: kind not in NAMES
)


def responses() -> ResponseTranslation:
    return ResponseTranslation(ENDPOINTS, EndpointRegions())


@st.composite
def endpoint_of_adapter(draw: st.DrawFn) -> dict[str, Any]:
    """An endpoint as core stores it."""
    credential = {"access_key": draw(access_ids), "access_secret": draw(secrets), "type": "basic"}
    number = draw(st.integers(1, 2**40))
    return {**draw(others), "id": number, "type": "harbor", "url": ADAPTER, "credential": credential}


@st.composite
def endpoint_of_others(draw: st.DrawFn) -> dict[str, Any]:
    endpoint = draw(others)
    for key, values in (("type", other_types), ("url", other_urls), ("credential", json_values)):
        if draw(st.booleans()):
            endpoint[key] = draw(values)
    return {**endpoint, "id": draw(st.integers(1, 2**40))}


@relaxed
@given(endpoint_of_adapter())
def test_shown_endpoint_sent_back_is_what_was_stored(stored: dict[str, Any]) -> None:
    shown = responses().registry(stored)
    assert shown["type"] == NAME
    assert ENDPOINTS.region_of_url(shown["url"]) == ENDPOINTS.region_of_access_id(stored["credential"]["access_key"])
    translated = REQUESTS.create(shown)
    assert translated.document == stored
    assert translated.credentials is not None


@relaxed
@given(endpoint_of_others())
def test_endpoint_of_others_stays_the_same_object(endpoint: dict[str, Any]) -> None:
    out = responses()
    registries, policy, summary = [endpoint], {"src_registry": endpoint, "dest_registry": None}, {"registry": endpoint}
    policies = [policy]
    assert out.registry(endpoint) is endpoint
    assert out.registries(registries) is registries
    assert out.policies(policies) is policies
    assert out.summary(summary) is summary
    assert REQUESTS.create(endpoint).document is endpoint
    assert REQUESTS.ping(endpoint, None).document is endpoint
    assert REQUESTS.edit(endpoint, endpoint).document is endpoint
    assert REQUESTS.ping(endpoint, endpoint).document is endpoint


@relaxed
@given(json_values)
def test_any_json_value_stays_the_same_object(document: Any) -> None:
    out = responses()
    for translate in (out.registry, out.registries, out.policy, out.policies, out.summary):
        assert translate(document) is document
    for translated in (REQUESTS.create(document), REQUESTS.ping(document, None)):
        assert translated.document is document
