from __future__ import annotations

import pytest

from adapter.errors import InvalidRequest
from adapter.provider.endpoints import Endpoints, normalized, stored_form
from adapter.settings import RegionHosts
from adapter.swr.client import BUILT_IN_REGIONS

EU_DE = "https://swr.eu-de.otc.t-systems.com"
ENDPOINTS = Endpoints("http://adapter:8080", {**BUILT_IN_REGIONS, "lab": RegionHosts("http://127.0.0.1:5000")})


@pytest.mark.parametrize(
    ("entered", "stored", "compared"),
    [
        (" https://Host.example.:443/ ", "https://Host.example.:443", "https://host.example"),
        ("host.example//", "http://host.example", "http://host.example"),
        ("HTTPS://user:word@host:8443/a/b/?q=1#f", "https://host:8443/a/b/", "https://host:8443/a/b"),
        ("https://host:80", "https://host:80", "https://host:80"),
        ("http://[::1]:80/", "http://[::1]:80", "http://[::1]"),
        ("http://[::1]:8080/", "http://[::1]:8080", "http://[::1]:8080"),
        ("http:///", "http://http:", "http://http"),
        ("ftp://host", None, None),
        ("http://host:port", None, None),
        ("http://[host", None, None),
        ("", None, None),
    ],
)
def test_stored_and_compared_form_of_a_url(entered: str, stored: str | None, compared: str | None) -> None:
    assert (stored_form(entered), normalized(entered)) == (stored, compared)


@pytest.mark.parametrize(
    ("entered", "region"),
    [
        ("http://swr.eu-de.otc.t-systems.com", "eu-de"),
        ("swr.eu-de.otc.t-systems.com", "eu-de"),
        (f"  {EU_DE.upper()}// ", "eu-de"),
        (f"{EU_DE}:443", "eu-de"),
        ("http://swr.eu-de.otc.t-systems.com:443", "eu-de"),
        ("https://user:word@swr.eu-de.otc.t-systems.com/?a=b#c", "eu-de"),
        ("https://swr.eu-de.otc.t-systems.com.", "eu-de"),
        ("127.0.0.1:5000", "lab"),
        ("http://ADAPTER:8080/", None),
    ],
)
def test_region_of_every_spelling_of_a_url(entered: str, region: str | None) -> None:
    assert ENDPOINTS.region_of_url(entered) == region


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        (f"{EU_DE}/my-organization", f"enter {EU_DE},"),
        ("https://swr-api.eu-de.otc.t-systems.com", f"management API, not the registry: enter {EU_DE} "),
        ("https://swr.eu-fr.otc.t-systems.com", f"unknown SWR host swr.eu-fr.otc.t-systems.com: enter {EU_DE} (eu-de)"),
        (f"{EU_DE}:8443", "unknown SWR host"),
        ("127.0.0.1", "unknown SWR host"),
        (f"{EU_DE}.evil.example", "unknown SWR host"),
        (f"{EU_DE}@evil.example", "unknown SWR host evil.example"),
        (f"https://user:word@{EU_DE[8:]}@evil.example", "unknown SWR host evil.example"),
        (f"{EU_DE}\\@evil.example", "unknown SWR host"),
        ("https://ѕwr.eu-de.otc.t-systems.com", "unknown SWR host"),  # a Cyrillic letter
        ("https://swr。eu-de.otc.t-systems.com", "unknown SWR host"),
        ("https://\ud800.example", "unknown SWR host"),
        ("http://adapter:8080/otc", "unknown SWR host"),
        ("ftp://swr.eu-de.otc.t-systems.com", "is not a valid URL: enter"),
        (f"{EU_DE}:99999", "is not a valid URL: enter"),
        (f"{EU_DE}:0", "is not a valid URL: enter"),
        ("  ", f"is empty: enter {EU_DE} (eu-de) or https://swr.eu-nl"),
    ],
)
def test_rejected_url_gets_the_url_to_enter(entered: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ENDPOINTS.region_of_url(entered)
    assert message in caught.value.sentence
    assert "word" not in caught.value.sentence


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://Adapter:8080/", True),
        ("adapter:8080", True),
        ("https://adapter:8080", False),
        ("http://adapter:8080/x", False),
        ("http://adapter", False),
        (None, False),
        (8080, False),
    ],
)
def test_url_of_the_adapter(url: object, expected: bool) -> None:
    assert ENDPOINTS.is_adapter(url) is expected


@pytest.mark.parametrize(
    ("access_id", "region"),
    [("eu-de@AK", "eu-de"), (" eu-nl_team@AK ", "eu-nl"), ("eu-fr@AK", None), ("AK", None), ("", None), (None, None)],
)
def test_region_of_an_access_id(access_id: object, region: str | None) -> None:
    assert ENDPOINTS.region_of_access_id(access_id) == region
