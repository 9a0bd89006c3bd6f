from __future__ import annotations

import pytest

from adapter.provider.query_filters import restored, translated

ADAPTER = "http://adapter:8080"
OURS = "q=url%3Dhttp%3A%2F%2Fadapter%3A8080"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("q=type%3DOpen%20Telekom%20Cloud%20SWR", OURS),
        ("q=type=Open+Telekom+Cloud+SWR", OURS),
        ("q=type%253DOpen%2520Telekom%2520Cloud%2520SWR", OURS),
        ("q=type%3D~Open%20Telekom%20Cloud%20SWR", OURS),
        ("q=type%3D%22Open%20Telekom%20Cloud%20SWR%22", OURS),
        ("q=type%3Dopentelekomcloud-swr", OURS),
        ("page=1&q=type%3Dopentelekomcloud-swr&sort=%2dname", f"page=1&{OURS}&sort=%2dname"),
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
def test_filters_for_our_name(query: str, wanted: str) -> None:
    assert translated(query, ADAPTER, "harbor") == wanted


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
def test_all_else_stays_as_it_is(query: str) -> None:
    assert translated(query, ADAPTER, "harbor") == query


@pytest.mark.parametrize(
    ("asked", "link", "wanted"),
    [
        (
            "q=type%3DOpen%20Telekom%20Cloud%20SWR&page=2",
            f'</r?page=1&{OURS}>; rel="prev" , </r?x={{%2f}}&{OURS}&page=3>; rel="next"',
            '</r?page=1&q=type%3DOpen%20Telekom%20Cloud%20SWR>; rel="prev" , '
            '</r?x={%2f}&q=type%3DOpen%20Telekom%20Cloud%20SWR&page=3>; rel="next"',
        ),
        (
            "q=type=Open+Telekom+Cloud+SWR",
            '</r?q=url%3dhttp:%2f%2fadapter:8080>; rel="next"',
            '</r?q=type=Open+Telekom+Cloud+SWR>; rel="next"',
        ),
        ('q=type%3Dopentelekomcloud-swr,name=<">', f"</r?{OURS}%2Cname%3D%3C%22%3E>", None),
        (
            "q=a&q=type%3Dopentelekomcloud-swr",
            f"</r?q=a&{OURS}&name=url%3Dhttp%3A%2F%2Fadapter%3A8080>",
            "</r?q=a&q=type%3Dopentelekomcloud-swr&name=url%3Dhttp%3A%2F%2Fadapter%3A8080>",
        ),
    ],
)
def test_links_have_the_filter_that_was_given(asked: str, link: str, wanted: str | None) -> None:
    sent = translated(asked, ADAPTER, "harbor")
    assert sent != asked
    assert restored(link, asked, sent) == (wanted or "</r?q=type%3Dopentelekomcloud-swr,name=%3C%22%3E>")


@pytest.mark.parametrize(
    "link", ["", "x", "</r>", "</r?>", "</r?q>", "<q=url>; q=1", '</r?q=name%3Da&q=url>; rel="next"']
)
def test_other_links_stay_as_they_are(link: str) -> None:
    asked = "q=type%3Dopentelekomcloud-swr"
    assert restored(link, asked, translated(asked, ADAPTER, "harbor")) == link
