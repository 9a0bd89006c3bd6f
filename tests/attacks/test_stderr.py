"""A standard error that nobody reads, as a log driver that hangs leaves it."""

from __future__ import annotations

import os

import pytest

from tests.contract.http import Door
from tests.running import running_adapter

PATH = "/v2/" + "a/" * 60 + "manifests/v1"
PIPE_BYTES = 64 << 10


@pytest.mark.timeout(60)
def test_unread_log_stops_neither_requests_nor_the_end_of_the_process() -> None:
    reads, writes = os.pipe()
    with running_adapter({}, output=writes) as adapter:
        os.close(writes)
        connection = Door(adapter.contract).connect(5)
        for _ in range(2 * PIPE_BYTES // (150 + len(PATH))):
            connection.request("GET", PATH)
            response = connection.getresponse()
            response.read()
            assert response.status == 401
        connection.close()
        assert Door(adapter.operations, documented=False).ask("GET", "/probe/healthy", timeout=5).status == 200
        assert adapter.service.stop(20) == 0
    os.close(reads)
