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
from tests.replay.holdings import Holdings
from tests.replay.scenarios import USUAL_PAGE
from tests.replay.script import Entry, reply

QUOTA = 5  # §4.13
STAMP = "2026-11-23T22:35:04.617123456Z"


def complaint(code: str, message: str) -> Response:
    """The management API's form of an error: a bare array; the code begins with the HTTP status (§4.12)."""
    status = int(code.rpartition(".")[2][:3])
    return reply(status, json.dumps([{"errorCode": code, "errorMessage": message, "detail": ""}]))


class ScriptedManagement:
    """Organizations, of this account and of others; their repositories and tags.

    `page`: entries of a page at most, whatever limit is asked for.
    """

    def __init__(self, held: Callable[[], Holdings]) -> None:
        self._holdings = held
        self._lock = threading.Lock()
        self.page = USUAL_PAGE

    def entries(self) -> list[Entry]:
        unsigned = {"Authorization": None}
        organization = "/v2/manage/namespaces/(?P<organization>[^/]+)"
        tags = f"{organization}/repos/(?P<repository>[^/]+)/tags"
        return [
            *(Entry(method, "/v2/manage/.*", self._unsigned, headers=unsigned) for method in ("GET", "POST", "DELETE")),
            Entry("GET", "/v2/manage/namespaces", self._organizations),
            Entry("POST", "/v2/manage/namespaces", self._create),
            Entry("GET", organization, self._organization),
            Entry("GET", "/v2/manage/repos", self._repositories),
            Entry("GET", tags, self._tags),
            Entry("DELETE", f"{tags}/(?P<tag>[^/]+)", self._delete_tag),
        ]

    def _held(self) -> dict[str, str]:
        return self._holdings().organizations

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

    # Repositories and tags (§4.4, §4.5)

    def _repositories(self, request: Request, match: re.Match[str]) -> Response:
        """Its filters are fuzzy in either form, and one must be given, as older documentation has it."""
        if refused := unsigned_by(request):
            return refused
        wanted = parameters(request)
        if not {"namespace", "name", "center"} & set(wanted):
            return complaint("SVCSTG.SWR.4000055", "no search criteria")
        mine = (name for name in self._holdings().repositories() if self._held().get(name.split("/")[0]) == ACCESS_KEY)
        parts = [name.partition("/")[::2] for name in mine]
        found = [
            self._listed(organization, name)
            for organization, name in parts
            if wanted.get("namespace", "") in organization and wanted.get("name", "") in name
        ]
        return self._paged(found, wanted)

    def _listed(self, organization: str, name: str) -> dict[str, Any]:
        """The optional fields are left out, and the tags are not all."""
        tags = [tag for tag, _ in self._holdings().tags_of(f"{organization}/{name}")]
        facts = {"name": name, "namespace": organization, "size": 1, "is_public": False, "num_images": len(tags)}
        return {**facts, "created_at": STAMP, "updated_at": STAMP, "tags": tags[:1], "later": [None]}

    def _tags(self, request: Request, match: re.Match[str]) -> Response:
        if refused := unsigned_by(request):
            return refused
        repository = self._named(match)
        if repository is None:
            return complaint("SVCSTG.SWR.4040113", "image does not exist")
        wanted = parameters(request)
        tags = [each for each in self._holdings().tags_of(repository) if wanted.get("tag", "") in each[0]]
        if wanted.get("order_column") == "tag":
            tags.sort(reverse=wanted.get("order_type") == "desc")
        return self._paged([self._tag(repository, *each) for each in tags], wanted)

    def _tag(self, repository: str, tag: str, digest: str) -> dict[str, Any]:
        data, media_type = self._holdings().manifests[repository, digest]
        facts = {"id": 1, "Tag": tag, "digest": digest, "manifest": data.decode(), "schema": 2, "size": len(data)}
        is_list = "list" in media_type or "index" in media_type
        return {**facts, "created": STAMP, "updated": STAMP, "deleted": "", "tag_type": int(is_list), "later": 1}

    def _delete_tag(self, request: Request, match: re.Match[str]) -> Response:
        if refused := unsigned_by(request):
            return refused
        repository = self._named(match)
        if repository is None or not self._holdings().delete_tag(repository, match["tag"]):
            return complaint("SVCSTG.SWR.4040115", "tag does not exist")
        return reply(204)

    def _named(self, match: re.Match[str]) -> str | None:
        """The repository of a path, where `$` stands for a slash."""
        repository = f"{match['organization']}/{match['repository'].replace('$', '/')}"
        known = repository in self._holdings().repositories()
        return repository if known and self._held().get(match["organization"]) == ACCESS_KEY else None

    def _paged(self, found: list[dict[str, Any]], wanted: Mapping[str, str]) -> Response:
        """`offset` and `limit` only together; Content-Range only with them."""
        if ("offset" in wanted) != ("limit" in wanted):
            return complaint("SVCSTG.SWR.4000056", "bad page size")
        start, limit = int(wanted.get("offset", 0)), int(wanted.get("limit", self.page))
        chosen = found[start : start + min(limit, self.page)]
        shown = {"content_range": f"{start}-{len(chosen)}/{len(found)}"} if "offset" in wanted else {}
        return reply(200, json.dumps(chosen), **shown)


def parameters(request: Request) -> dict[str, str]:
    """Of both forms: plain, and `filter=key::value|key::value`."""
    pairs = (part.partition("::")[::2] for part in request.args.get("filter", "").split("|") if part)
    return {**dict(pairs), **{name: value for name, value in request.args.items() if name != "filter"}}


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
