"""Sealed upload locations: good for one upload of one account, and for nothing else."""

from __future__ import annotations

import contextlib
import json
import re
import socket

import pytest

from adapter.credentials import parse_credentials
from adapter.references import parse_repository
from adapter.swr.client import region_table
from adapter.swr.repository import Repository
from adapter.transfer.upload_session import UploadSession, sign, sign_session
from tests.contract.conftest import PUBLIC_HOST
from tests.contract.http import (
    SMALL,
    Door,
    digest_of,
    refused,
    silent,
    with_query,
)
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY, basic
from tests.running import RunningSandbox

IDENTITY = parse_credentials(ACCESS_ID, SECRET_KEY, region_table({}))


def _was_called(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _name_of(server: socket.socket) -> str:
    host, port = server.getsockname()
    return f"{host}:{port}"


class TestLocations:
    @pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
    @pytest.mark.parametrize("how", ["cut", "changed", "of another repository", "of another account", "made up"])
    def test_one_that_is_not_this_uploads(
        self, door: Door, swr: RunningSandbox, repository: str, method: str, how: str
    ) -> None:
        location = door.ask("PATCH", door.start(repository), SMALL).header("Location")
        sealed = location.rpartition("/")[2]
        other = basic(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
        bad = {
            "cut": location[:-3],
            "changed": location.replace(sealed, sealed[:9] + ("A" if sealed[9] != "A" else "B") + sealed[10:]),
            "of another repository": location.replace(repository, f"{repository}-other"),
            "of another account": location,
            "made up": f"/v2/{repository}/blobs/uploads/6f2d3c1a-0000-4000-8000-000000000000",
        }[how]
        body = None if method in {"GET", "DELETE"} else SMALL
        target = with_query(bad, digest=digest_of(SMALL))
        if how == "of another account":
            refused(door.ask(method, target, body, authorization=other), 404, "not yours", code="NAME_UNKNOWN")
            return
        with silent(swr, tokens=True):
            answer = door.ask(method, target, body)
        refused(answer, 404, "start the upload again", code="BLOB_UPLOAD_UNKNOWN")

    @pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
    def test_a_wrong_secret(self, door: Door, swr: RunningSandbox, repository: str, method: str) -> None:
        """It is the key of the signature: that the location does not fit is not all there is to say."""
        target = with_query(door.start(repository), digest=digest_of(SMALL))
        body = None if method in {"GET", "DELETE"} else SMALL
        answer = door.ask(method, target, body, authorization=basic(ACCESS_ID, "0" * 64))
        refused(answer, 401, code="UNAUTHORIZED")
        assert answer.header("WWW-Authenticate")

    def test_query_in_any_order(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        location = door.ask("PATCH", door.start(repository), SMALL).header("Location")
        path, _, query = location.partition("?")
        parts = sorted(
            [*filter(None, query.split("&")), f"digest={digest_of(SMALL).replace(':', '%3A')}", "a=1", "z=2"]
        )
        for ordered in (parts, parts[::-1]):
            answer = door.ask("PUT", f"{path}?{'&'.join(ordered)}", b"")
            assert answer.status == (201 if ordered is parts else 404)

    def test_absolute_for_the_public_host_only(self, strict_door: Door, repository: str) -> None:
        path = f"/v2/{repository}/blobs/uploads/"
        public = strict_door.ask("POST", path, b"", {"Host": PUBLIC_HOST}).header("Location")
        assert public.startswith(f"https://{PUBLIC_HOST}{path}")
        for host in ("10.0.0.1:8080", "evil.example", ""):
            assert strict_door.ask("POST", path, b"", {"Host": host}).header("Location").startswith(path)
        answer = strict_door.ask("PATCH", public, SMALL, {"Host": PUBLIC_HOST})
        assert answer.header("Location").startswith(f"https://{PUBLIC_HOST}{path}")
        assert strict_door.put(answer.header("Location"), digest_of(SMALL), b"").status == 201

    def test_swrs_own_location_is_not_shown_as_it_is(self, door: Door, repository: str, swr: RunningSandbox) -> None:
        location = door.start(repository)
        assert re.fullmatch(rf"/v2/{repository}/blobs/uploads/[\w.-]+", location)
        assert swr.registry not in location

    @pytest.mark.parametrize(
        "elsewhere",
        ["http://localhost.example/v2/x", "//localhost.example/v2/x", "http://a@127.0.0.1/x", "http://[::1", ""],
    )
    def test_swr_may_not_lead_to_another_host(
        self, door: Door, swr: RunningSandbox, repository: str, elsewhere: str
    ) -> None:
        headers = {"Location": elsewhere} if elsewhere else {}
        swr.faults({"method": "POST", "status": 202, "headers": headers})
        refused(door.ask("POST", f"/v2/{repository}/blobs/uploads/", b""), 502, "SWR")

    @pytest.mark.parametrize("form", ["@{}/v2/x", "@{}", "//{}/v2/x", "http://{}/v2/x", ".example/x"])
    def test_a_location_of_the_callers_own_making_leads_nowhere_else(
        self, door: Door, repository: str, form: str
    ) -> None:
        """Whoever knows the login key can seal; which host the adapter talks to must not be theirs to choose."""
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            elsewhere.settimeout(0)
            forged = sign_session(
                UploadSession(Repository(IDENTITY, parse_repository(repository)), form.format(_name_of(elsewhere)))
            )
            answer = None
            with contextlib.suppress(TimeoutError):
                target = with_query(f"/v2/{repository}/blobs/uploads/{forged}", digest=digest_of(b""))
                answer = door.ask("PUT", target, b"", timeout=10)
            assert not _was_called(elsewhere)
        refused(answer, {400, 404})

    @pytest.mark.parametrize("rest", [[], [1, 0, "x", False], ["/v2/", "x", "x", False], {}, None])
    def test_a_seal_around_nonsense(self, door: Door, swr: RunningSandbox, repository: str, rest: object) -> None:
        document = [repository, *rest] if isinstance(rest, list) else rest
        forged = sign(json.dumps(document).encode(), IDENTITY)
        with silent(swr, tokens=True):
            answer = door.ask("PATCH", f"/v2/{repository}/blobs/uploads/{forged}", SMALL)
        refused(answer, {400, 404})
