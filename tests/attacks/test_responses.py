"""Responses of SWR that the server does not forward: their slots are released."""

from __future__ import annotations

import json

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.contract.http import Door, digest_of, eventually, refused
from tests.running import running_adapter
from tests.swr.scripted import Swr

THREADS = 4
BLOB = b"a layer"


def test_invalid_response_keeps_no_transfer_slot() -> None:
    path = f"/v2/team/app/blobs/{digest_of(BLOB)}"

    def damaged(_: Request) -> Response:
        return Response(BLOB, 200, {"Content-Type": "a/\x01b"})

    with HTTPServer(threaded=True) as server:
        swr = Swr(server)
        swr.grant()
        swr.answer("GET", path, damaged)
        regions = {"eu-de": {"registry": swr.url, "api": swr.url}}
        with running_adapter(regions, threads=THREADS) as adapter:
            door = Door(adapter.contract, documented=False)
            for number in range(THREADS):
                answer = door.ask("GET", path, headers={"X-Request-Id": f"damaged-{number}"})
                refused(answer, {500, 502})
                assert answer.header("X-Request-Id") == f"damaged-{number}"
            swr.answer("GET", path, Response(BLOB))
            assert door.ask("GET", path).body == BLOB
            output = adapter.service
            eventually(lambda: output.output.count('"message": "request"') >= THREADS + 1)
        lines = [json.loads(line) for line in output.output.splitlines()]
        statuses = {line["request_id"]: line["status"] for line in lines if line["message"] == "request"}
        assert {statuses[f"damaged-{number}"] for number in range(THREADS)} <= {500, 502}
        assert "Traceback" not in output.output


pytestmark = pytest.mark.timeout(60)
