from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.error_bodies import harbor_body, oci_body
from adapter.errors import Denied, OrganizationQuota


def test_oci_envelope() -> None:
    error = OrganizationQuota("no more", swr_code="SVCSTG.SWR.4000097", swr_message="too many", request_id="swr-1")
    assert json.loads(oci_body(error, "ours-1")) == {
        "errors": [
            {
                "code": "DENIED",
                "message": "no more",
                "detail": {
                    "request_id": "ours-1",
                    "swr_code": "SVCSTG.SWR.4000097",
                    "swr_message": "too many",
                    "swr_request_id": "swr-1",
                },
            }
        ]
    }


@pytest.mark.parametrize(("swr", "ids"), [(None, "[request ID r]"), ("swr-1", "[request ID r, SWR request ID swr-1]")])
def test_harbor_envelope(swr: str | None, ids: str) -> None:
    (entry,) = json.loads(harbor_body(Denied("not yours", request_id=swr), "r"))["errors"]
    assert entry == {"code": "DENIED", "message": f"not yours {ids}"}


@given(st.text(), st.text(), st.text())
def test_body_is_one_line_without_percent_signs(sentence: str, message: str, request_id: str) -> None:
    for body in (oci_body, harbor_body):
        text = body(Denied(sentence, swr_message=message, request_id=request_id), "r").decode()
        assert text.isascii()
        assert text.isprintable()
        assert "%" not in text
        assert json.loads(text)["errors"][0]["code"] == "DENIED"


@pytest.mark.parametrize("body", [oci_body, harbor_body])
def test_foreign_text_is_ascii(body: Callable[[Denied, str], bytes]) -> None:
    """In the response, and in what its JSON means."""
    response = body(Denied("fehlt für Köln: 100 %", swr_message="命名 %s", request_id="é"), "r")
    assert response.isascii()
    assert "fehlt fuer Koeln: 100 percent" in str(json.loads(response))
    if body is oci_body:
        assert json.loads(response)["errors"][0]["detail"]["swr_message"] == "<U+547D><U+540D> (percent)s"
