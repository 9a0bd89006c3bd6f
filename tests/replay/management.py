"""The management API of the scripted SWR and the gateway before it, from docs/facts/swr.md §3.1, §3.2 and §4 alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from werkzeug import Request, Response

from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.replay.script import Entry, reply

QUOTA = 5  # §4.13


def complaint(code: str, message: str) -> Response:
    """The management API's form of an error: a bare array; the code begins with the HTTP status (§4.12)."""
    status = int(code.rpartition(".")[2][:3])
    return reply(status, json.dumps([{"errorCode": code, "errorMessage": message, "detail": ""}]))


class ScriptedManagement:
    """Organizations, of this account and of others: `held` gives the access key that owns each."""

    def __init__(self, held: Callable[[], dict[str, str]]) -> None:
        self._held = held
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        unsigned = {"Authorization": None}
        return [
            *(Entry(method, "/v2/manage/.*", self._unsigned, headers=unsigned) for method in ("GET", "POST", "DELETE")),
            Entry("GET", "/v2/manage/namespaces", self._organizations),
            Entry("POST", "/v2/manage/namespaces", self._create),
            Entry("GET", "/v2/manage/namespaces/(?P<organization>[^/]+)", self._organization),
        ]

    def _unsigned(self, request: Request, match: re.Match[str]) -> Response:
        return complaint("SVCSTG.S2I.4019000", "no token or AK/SK in the request")

    def _described(self, name: str) -> Mapping[str, Any]:
        """With fields that are not documented (§10)."""
        facts = {"id": 1 + sorted(self._held()).index(name), "name": name, "creator_name": "CANARY-user"}
        return {**facts, "auth": 7, "access_user_count": 1, "repo_count": 0, "later": {"nested": None}}

    def _organizations(self, request: Request, match: re.Match[str]) -> Response:
        if refused := unsigned_by(request):
            return refused
        wanted = request.args.get("namespace")
        mine = [name for name, owner in self._held().items() if owner == ACCESS_KEY]
        found = [self._described(name) for name in mine if wanted in (None, name)]
        return reply(200, json.dumps({"namespaces": found}))

    def _organization(self, request: Request, match: re.Match[str]) -> Response:
        if refused := unsigned_by(request):
            return refused
        name = match["organization"]
        if self._held().get(name) != ACCESS_KEY:
            return complaint("SVCSTG.SWR.4040058", "organization does not exist")
        return reply(200, json.dumps(self._described(name)))

    def _create(self, request: Request, match: re.Match[str]) -> Response:
        if refused := unsigned_by(request):
            return refused
        name = json.loads(request.get_data())["namespace"]
        with self._lock:
            if name in self._held():
                return complaint("SVCSTG.SWR.4090060", "organization exists")
            if list(self._held().values()).count(ACCESS_KEY) >= QUOTA:
                return complaint("SVCSTG.SWR.4000097", "too many organizations")
            self._held()[name] = ACCESS_KEY
        return reply(201)


def unsigned_by(request: Request) -> Response | None:
    """The gateway's refusal, or None when the signature is right (§3.1, §3.2 scheme A)."""
    pattern = r"SDK-HMAC-SHA256 Access=(\w+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
    given = re.fullmatch(pattern, request.headers.get("Authorization", ""))
    stamp = request.headers.get("X-Sdk-Date", "")
    names = given[2].split(";") if given else []
    if not given or given[1] != ACCESS_KEY or not {"host", "x-sdk-date"} <= set(names):
        return gateway("Incorrect IAM authentication information: AK or headers")
    then = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - then).total_seconds()) > 15 * 60:
        return gateway("Incorrect IAM authentication information: time")
    text = canonical(request, names)
    wanted = f"SDK-HMAC-SHA256\n{stamp}\n{hashlib.sha256(text.encode()).hexdigest()}"
    if hmac.new(SECRET_KEY.encode(), wanted.encode(), hashlib.sha256).hexdigest() != given[3]:
        return gateway("Incorrect IAM authentication information: verify aksk signature fail")
    return None


def gateway(message: str) -> Response:
    return reply(401, json.dumps({"error_msg": message, "error_code": "APIG.0301", "request_id": "r-1"}))


def canonical(request: Request, names: list[str]) -> str:
    """The six lines that are signed."""
    raw, _, query = str(request.environ["RAW_URI"]).partition("?")
    path = "/".join(quote(unquote(segment), safe="-_.~") for segment in raw.split("/"))
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in parse_qsl(query, True))
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in sorted(names))
    body = hashlib.sha256(request.get_data()).hexdigest()
    lines = [request.method, path if path.endswith("/") else path + "/", "&".join(f"{k}={v}" for k, v in pairs)]
    return "\n".join([*lines, headers, ";".join(sorted(names)), request.headers.get("X-Sdk-Content-Sha256", body)])
