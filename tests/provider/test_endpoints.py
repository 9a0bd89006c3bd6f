from __future__ import annotations

import pytest

from adapter.errors import InvalidRequest
from adapter.provider.endpoints import Endpoints, normalised, stored_form
from adapter.settings import RegionHosts
from adapter.swr.client import BUILT_IN

EU_DE = "https://swr.eu-de.otc.t-systems.com"
ENDPOINTS = Endpoints("http://adapter:8080", {**BUILT_IN, "lab": RegionHosts("http://127.0.0.1:5000")})


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" https://Host.example/ ", "https://Host.example"),
        ("host.example//", "http://host.example"),
        ("HTTPS://user:word@host:8443/a/b/?q=1#f", "https://host:8443/a/b/"),
        ("host:8080", "http://host:8080"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("ftp://host", None),
        ("http:///", "http://http:"),
        ("http://host:port", None),
        ("http://[host", None),
        ("", None),
    ],
)
def test_form_in_which_harbor_stores(typed: str, stored: str | None) -> None:
    assert stored_form(typed) == stored


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("https://Host.example.:443/", "https://host.example"),
        ("http://host:80", "http://host"),
        ("https://host:80", "https://host:80"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("ftp://host", None),
    ],
)
def test_form_for_comparisons(typed: str, compared: str | None) -> None:
    assert normalised(typed) == compared


@pytest.mark.parametrize(
    "typed",
    [
        EU_DE,
        "http://swr.eu-de.otc.t-systems.com",
        "swr.eu-de.otc.t-systems.com",
        f"  {EU_DE}// ",
        EU_DE.upper(),
        f"{EU_DE}:443",
        "http://swr.eu-de.otc.t-systems.com:80/",
        "http://swr.eu-de.otc.t-systems.com:443",
        "https://user:word@swr.eu-de.otc.t-systems.com/?a=b#c",
        "https://swr.eu-de.otc.t-systems.com.",
    ],
)
def test_every_spelling_of_a_region_is_understood(typed: str) -> None:
    assert ENDPOINTS.region_of_url(typed) == "eu-de"


def test_a_region_with_a_port_is_known_by_it() -> None:
    assert ENDPOINTS.region_of_url("127.0.0.1:5000") == "lab"
    with pytest.raises(InvalidRequest):
        ENDPOINTS.region_of_url("127.0.0.1")


def test_the_adapters_own_url_is_of_no_region() -> None:
    assert ENDPOINTS.region_of_url("http://ADAPTER:8080/") is None


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (f"{EU_DE}/my-organization", f"enter {EU_DE},"),
        (f"{EU_DE}/v2/", f"enter {EU_DE},"),
        ("https://swr-api.eu-de.otc.t-systems.com", f"management API: enter {EU_DE} "),
        (
            "https://swr.eu-fr.otc.t-systems.com",
            f"swr.eu-fr.otc.t-systems.com is no SWR host that is known here: enter {EU_DE} (eu-de)",
        ),
        (f"{EU_DE}:8443", "is no SWR host"),
        ("https://swr.eu-de.otc.t-systems.com.evil.example", "is no SWR host"),
        ("https://swr.eu-de.otc.t-systems.com@evil.example", "evil.example is no SWR host"),
        ("https://xn--swr.example", "is no SWR host"),
        ("http://adapter:8080/otc", "is no SWR host"),
        ("ftp://swr.eu-de.otc.t-systems.com", "is no URL: enter"),
        ("https://a b.example:port", "is no URL: enter"),
        ("  ", f"is empty: enter {EU_DE} (eu-de) or https://swr.eu-nl"),
    ],
)
def test_refusals_say_what_to_type(typed: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ENDPOINTS.region_of_url(typed)
    assert says in caught.value.sentence


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ENDPOINTS.region_of_url("https://user:word@evil.example")
    assert "word" not in caught.value.sentence


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://adapter:8080", True),
        ("http://Adapter:8080/", True),
        ("adapter:8080", True),
        ("https://adapter:8080", False),
        ("http://adapter:8080/x", False),
        ("http://adapter", False),
        (None, False),
        (8080, False),
    ],
)
def test_the_adapters_own_url(url: object, own: bool) -> None:
    assert ENDPOINTS.is_adapter(url) is own


@pytest.mark.parametrize(
    ("access_id", "region"),
    [
        ("eu-de@AK", "eu-de"),
        (" eu-nl_team@AK ", "eu-nl"),
        ("eu-fr@AK", None),
        ("AK", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_region_of_an_access_id(access_id: object, region: str | None) -> None:
    assert ENDPOINTS.region_of_access_id(access_id) == region
