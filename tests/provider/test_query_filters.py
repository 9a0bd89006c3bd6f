from __future__ import annotations

import pytest

from adapter.provider.query_filters import restore_links, translate_query

ADAPTER = "http://adapter:8080"
URL_FILTER = "q=url%3Dhttp%3A%2F%2Fadapter%3A8080"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=type%3DOpen%20Telekom%20Cloud%20SWR", URL_FILTER),
        ("q=type=Open+Telekom+Cloud+SWR", URL_FILTER),
        ("q=type%253DOpen%2520Telekom%2520Cloud%2520SWR", URL_FILTER),
        ("q=type%3D~Open%20Telekom%20Cloud%20SWR", URL_FILTER),
        ("q=type%3D%22Open%20Telekom%20Cloud%20SWR%22", URL_FILTER),
        ("q=type%3Dopentelekomcloud-swr", URL_FILTER),
        ("page=1&q=type%3Dopentelekomcloud-swr&sort=%2dname", f"page=1&{URL_FILTER}&sort=%2dname"),
        (
            "q=name%3D~a%2Bb%25,type%3DOpen%20Telekom%20Cloud%20SWR",
            "q=name%3D~a%2Bb%25%2Curl%3Dhttp%3A%2F%2Fadapter%3A8080",
        ),
        (
            "q=type%253DOpen%2520Telekom%2520Cloud%2520SWR%252Cname%253D~x%252csort%253Dname",
            "q=url%3Dhttp%3A%2F%2Fadapter%3A8080%2Cname%253D~x%2Csort%253Dname",
        ),
        ("q=type%3D%7Bdocker-hub%20opentelekomcloud-swr%7D", "q=type%3D%7Bdocker-hub%20harbor%7D"),
        ("q=type%3D%7Bharbor%20opentelekomcloud-swr%7D", "q=type%3D%7Bharbor%7D"),
    ],
)
def test_filter_for_the_provider_becomes_one_for_the_url(query: str, expected: str) -> None:
    assert translate_query(query, ADAPTER, "harbor") == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=",
        "q",
        "&&q=&",
        "sort=-creation_time&q=&page_size=15&page=1",
        "q=type%3d%7bdocker-hub harbor%7D",
        "q=name%3DOpen%20Telekom%20Cloud%20SWR",
        "q=name%3D~otc&page_size=1",
        "name=type%3DOpen%20Telekom%20Cloud%20SWR",
        "q=type%3DOpen",
        "q=%zz%ff,type",
    ],
)
def test_other_queries_keep_their_bytes(query: str) -> None:
    assert translate_query(query, ADAPTER, "harbor") == query


@pytest.mark.parametrize(
    ("query", "link", "expected"),
    [
        (
            "q=type%3DOpen%20Telekom%20Cloud%20SWR&page=2",
            f'</r?page=1&{URL_FILTER}>; rel="prev" , </r?x={{%2f}}&{URL_FILTER}&page=3>; rel="next"',
            '</r?page=1&q=type%3DOpen%20Telekom%20Cloud%20SWR>; rel="prev" , '
            '</r?x={%2f}&q=type%3DOpen%20Telekom%20Cloud%20SWR&page=3>; rel="next"',
        ),
        (
            "q=type=Open+Telekom+Cloud+SWR",
            '</r?q=url%3dhttp:%2f%2fadapter:8080>; rel="next"',
            '</r?q=type=Open+Telekom+Cloud+SWR>; rel="next"',
        ),
        ('q=type%3Dopentelekomcloud-swr,name=<">', f"</r?{URL_FILTER}%2Cname%3D%3C%22%3E>", None),
        (
            "q=a&q=type%3Dopentelekomcloud-swr",
            f"</r?q=a&{URL_FILTER}&name=url%3Dhttp%3A%2F%2Fadapter%3A8080>",
            "</r?q=a&q=type%3Dopentelekomcloud-swr&name=url%3Dhttp%3A%2F%2Fadapter%3A8080>",
        ),
    ],
)
def test_link_gets_the_filter_of_the_caller(query: str, link: str, expected: str | None) -> None:
    sent_query = translate_query(query, ADAPTER, "harbor")
    assert sent_query != query
    assert restore_links(link, query, sent_query) == (expected or "</r?q=type%3Dopentelekomcloud-swr,name=%3C%22%3E>")


@pytest.mark.parametrize(
    "link", ["", "x", "</r>", "</r?>", "</r?q>", "<q=url>; q=1", '</r?q=name%3Da&q=url>; rel="next"']
)
def test_other_links_keep_their_bytes(link: str) -> None:
    query = "q=type%3Dopentelekomcloud-swr"
    assert restore_links(link, query, translate_query(query, ADAPTER, "harbor")) == link
