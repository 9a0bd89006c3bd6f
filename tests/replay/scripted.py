"""An SWR of scripted answers, written from docs/facts/swr.md alone and sharing no code with the sandbox.

Where the facts are silent (§9, end of §10) it takes another plausible choice than the sandbox does: relative upload
Locations, no Docker-Upload-UUID, `Range: 0-0` to each chunk, tokens that are no JWT and say nothing of their life, blob
redirects with 302 and an explicit port, HEAD of a blob without Docker-Content-Digest, lower-case header names, mounts,
no DELETE of a manifest, no dockyard. It is a stand-in: no evidence about SWR.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.credentials import LOGIN_KEY, OTHER_ACCESS_KEY, basic
from tests.replay.holdings import Holdings, digest_of
from tests.replay.management import ScriptedManagement
from tests.replay.profiles import DEFAULT_PROFILE, PROFILES
from tests.replay.scenarios import USUAL_PAGE, Contents, State
from tests.replay.script import Entry, Script, reply, was_cut

NAME = r"(?P<name>[a-z0-9._/-]+?)"
REFERENCE = r"(?P<reference>[A-Za-z0-9_][A-Za-z0-9._:-]*)"
LOGINS = {basic(profile.access_id, LOGIN_KEY) for profile in PROFILES.values()}
TOKEN_PATH = "/swr/auth/v2/registry/auth/?"


def refusal(status: int, code: str, message: str) -> Response:
    """The registry's form of an error (§4.12)."""
    return reply(status, json.dumps({"errors": [{"code": code, "message": message}]}))


class Origin(HTTPServer):
    """A server that hands a request over before its body is read, so that a script can cut it there."""

    answer: Callable[[Request], Response]

    def application(self, request: Request) -> Response:
        return self.answer(request)


class ScriptedSwr:
    """The registry, the management API and the object store, each an HTTP server of its own. `script` takes faults."""

    def __init__(self, registry: Origin, api: Origin, objects: Origin) -> None:
        self.registry, self.api, self.objects = (server.url_for("").rstrip("/") for server in (registry, api, objects))
        self.management = ScriptedManagement(lambda: self.holdings)
        self.script = Script(
            [
                *self._registry_entries(),
                *self._upload_entries(),
                *self.management.entries(),
                self._object(),
            ]
        )
        self._lock = threading.RLock()
        self._tokens: dict[str, str] = {}
        self._profile = PROFILES[DEFAULT_PROFILE]
        self.holdings = Holdings()
        for server in (registry, api, objects):
            server.answer = self._answer

    def reset(self, profile: str, start: State, page: int = USUAL_PAGE) -> None:
        """Holds `start` and nothing else; refuses and forgets what the mood says."""
        with self._lock:
            self._profile, self.management.page, self.holdings = PROFILES[profile], page, Holdings.of(start)
        self.script.reset()

    def contents(self) -> Contents:
        return self.holdings.contents()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        kept = self.holdings.manifest(repository, reference)
        return kept[1] if kept else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        return self.holdings.blobs.get((repository, digest))

    def cut_chunk(self, after: int) -> None:
        """At once, whatever `after` says."""
        self.script.before(Entry("PATCH", ".*/blobs/uploads/.*", once=True, abort=True))

    def forget_uploads(self) -> None:
        self.holdings.uploads.clear()

    def requests(self) -> list[tuple[str, str, int]]:
        return list(self.script.asked)

    def _answer(self, request: Request) -> Response:
        response = self.script(request)
        if request.path.startswith("/v2/") and not request.path.startswith("/v2/manage"):
            response.headers.setdefault("Docker-Distribution-Api-Version", "registry/2.0")
        # A werkzeug server closes each connection after its answer: what is unread would turn that into a reset.
        if not was_cut(request):
            request.get_data(cache=False)
        return response

    # The registry (§5, §6)

    def _registry_entries(self) -> list[Entry]:
        manifest, blob = f"/v2/{NAME}/manifests/{REFERENCE}", f"/v2/{NAME}/blobs/{REFERENCE}"
        basic, anonymous = {"Authorization": "Basic "}, {"Authorization": None}
        return [
            Entry("GET", TOKEN_PATH, self._token),
            Entry("GET", "/v2/", lambda request, match: self._challenge(""), headers=anonymous),
            *(
                Entry(method, "/v2/.*", self._refuse, headers=basic)
                for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
            ),
            Entry("GET", "/v2/", self._ping),
            Entry("GET", "/v2/_catalog", lambda request, match: reply(404)),
            Entry("GET", f"/v2/{NAME}/tags/list", self._tag_list),
            Entry("HEAD", manifest, self._get_manifest),
            Entry("GET", manifest, self._get_manifest),
            Entry("PUT", manifest, self._put_manifest),
            Entry("DELETE", manifest, lambda request, match: refusal(405, "UNSUPPORTED", "unsupported")),
            Entry("HEAD", blob, self._head_blob),
            Entry("GET", blob, self._get_blob),
        ]

    def _token(self, request: Request, match: re.Match[str]) -> Response:
        """GET only; no `expires_in`, no `issued_at`; a scope in a missing organization is refused, and so is one beside
        another: what SWR makes of two is not known (§9)."""
        if request.headers.get("Authorization") not in LOGINS:
            return refusal(401, "DENIED", "Authenticate Error")
        scope = " ".join(request.args.getlist("scope"))
        if scope:
            wanted = re.fullmatch(rf"repository:{NAME}:(pull|pull,push|push,pull)", scope)
            if not wanted:
                return refusal(400, "DENIED", "Invalid scope")
            if wanted["name"].partition("/")[0] not in self.holdings.organizations:
                return refusal(401, "DENIED", "Image organization does not exist")
        token = secrets.token_hex(24)
        self._tokens[token] = scope
        return reply(200, json.dumps({"token": token}))

    def _challenge(self, scope: str) -> Response:
        value = f'Bearer realm="{self.registry}/swr/auth/v2/registry/auth",service="dockyard"{scope}'
        body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})
        return reply(401, body, www_authenticate=value, forserver="swr")

    def _refuse(self, request: Request, match: re.Match[str]) -> Response:
        return self._challenge("")

    def _allowed(self, request: Request, name: str, action: str) -> Response | None:
        """The refusal, or None. The token must be for this repository and action; the challenge names no action."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        scope = self._tokens.get(token, "") if scheme == "Bearer" else ""
        if scope.startswith(f"repository:{name}:") and action in scope.rpartition(":")[2].split(","):
            return None
        return self._challenge(f',scope="repository:{name}:"')

    def _ping(self, request: Request, match: re.Match[str]) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return reply(200, "{}") if token in self._tokens else self._challenge("")

    def _tag_list(self, request: Request, match: re.Match[str]) -> Response:
        if refused := self._allowed(request, match["name"], "pull"):
            return refused
        tags = [tag for repository, tag in self.holdings.tags if repository == match["name"]]
        return reply(200, json.dumps({"name": match["name"], "tags": tags or None}))

    def _get_manifest(self, request: Request, match: re.Match[str]) -> Response:
        if refused := self._allowed(request, match["name"], "pull"):
            return refused
        kept = self.holdings.manifest(match["name"], match["reference"])
        if kept is None:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        digest, data, media_type = kept
        return reply(200, data, content_type=media_type, docker_content_digest=digest)

    def _put_manifest(self, request: Request, match: re.Match[str]) -> Response:
        name, reference, data = match["name"], match["reference"], request.get_data()
        if refused := self._allowed(request, name, "push"):
            return refused
        media_type = request.headers.get("Content-Type", "")
        if self._profile.refuses(media_type, data):
            return refusal(400, "MANIFEST_INVALID", "Invalid image, fail to parse 'manifest.json'")
        document = json.loads(data)
        parts = [document["config"], *document["layers"]] if "config" in document else []
        if any((name, part["digest"]) not in self.holdings.blobs for part in parts):
            return refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        if any((name, part["digest"]) not in self.holdings.manifests for part in document.get("manifests", ())):
            return refusal(400, "MANIFEST_BLOB_UNKNOWN", "manifest unknown to registry")
        digest = self.holdings.put_manifest(name, reference, data, media_type)
        if reference != digest:
            self.holdings.forget(name, self._profile.forget)
        return reply(201, docker_content_digest=digest, location=f"/v2/{name}/manifests/{digest}")

    def _head_blob(self, request: Request, match: re.Match[str]) -> Response:
        if refused := self._allowed(request, match["name"], "pull"):
            return refused
        data = self.blob(match["name"], match["reference"])
        if data is None:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return reply(200, data, content_type="application/octet-stream")

    def _get_blob(self, request: Request, match: re.Match[str]) -> Response:
        if refused := self._allowed(request, match["name"], "pull"):
            return refused
        digest = match["reference"]
        if self.blob(match["name"], digest) is None:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        path = f"/op-svc-swr-b01/data/tarsum/{match['name'].replace('/', '-')}/{digest}/layer"
        return reply(302, location=f"{self.objects}{path}?AWSAccessKeyId=x&Expires=9999999999&Signature=y%3D")

    def _object(self) -> Entry:
        return Entry(
            "GET", r"/op-svc-swr-b01/data/tarsum/[^/]+/(?P<digest>sha256:[0-9a-f]{64})/layer", self._get_object
        )

    def _get_object(self, request: Request, match: re.Match[str]) -> Response:
        """Two ways to be authorized at once are refused, as S3-like stores do."""
        if "Authorization" in request.headers:
            return reply(400, "<Error/>", content_type="application/xml")
        data = next(data for (_, digest), data in self.holdings.blobs.items() if digest == match["digest"])
        return reply(200, data, content_type="application/octet-stream")

    # Uploads (§6, §10)

    def _upload_entries(self) -> list[Entry]:
        session = f"/v2/{NAME}/blobs/uploads/(?P<upload>[0-9a-f]+)"
        return [
            Entry("POST", f"/v2/{NAME}/blobs/uploads/", self._start),
            Entry("GET", session, self._status),
            Entry("PATCH", session, self._chunk),
            Entry("PUT", session, self._finish),
        ]

    def _accepted(self, name: str, upload: str) -> Response:
        location = f"/v2/{name}/blobs/uploads/{upload}?at={len(self.holdings.uploads[upload])}&_t=a%2Bb%3D"
        return reply(202, location=location, range="0-0")

    def _start(self, request: Request, match: re.Match[str]) -> Response:
        """It mounts, where the sandbox does not: whether SWR does is not known (§6)."""
        if refused := self._allowed(request, match["name"], "push"):
            return refused
        wanted = request.args.get("mount", "")
        if (data := self.blob(request.args.get("from", ""), wanted)) is not None:
            self.holdings.blobs[match["name"], wanted] = data
            return reply(201, docker_content_digest=wanted, location=f"/v2/{match['name']}/blobs/{wanted}")
        upload = secrets.token_hex(8)
        self.holdings.uploads[upload] = bytearray()
        return self._accepted(match["name"], upload)

    def _take(self, request: Request, match: re.Match[str]) -> Response | None:
        """Appends the body, all of it or nothing; the refusal, or None."""
        if refused := self._allowed(request, match["name"], "push"):
            return refused
        kept = self.holdings.uploads.get(match["upload"])
        if kept is None:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if request.args.get("_t") != "a+b=" or request.args.get("at") != str(len(kept)):
            return refusal(400, "BLOB_UPLOAD_INVALID", "state of the upload is damaged")
        data = request.get_data(cache=False)  # raises, and so ends the request, if the body is cut
        span = re.fullmatch(
            r"(\d+)-(\d+)", request.headers.get("Content-Range", f"{len(kept)}-{len(kept) + len(data) - 1}")
        )
        if data and (not span or (int(span[1]), int(span[2])) != (len(kept), len(kept) + len(data) - 1)):
            return refusal(416, "RANGE_INVALID", "chunk is out of order")
        kept += data
        return None

    def _status(self, request: Request, match: re.Match[str]) -> Response:
        """Here its Range is the true one."""
        if refused := self._allowed(request, match["name"], "push"):
            return refused
        if match["upload"] not in self.holdings.uploads:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        answer = self._accepted(match["name"], match["upload"])
        end = max(len(self.holdings.uploads[match["upload"]]) - 1, 0)
        return reply(204, location=answer.headers["location"], range=f"0-{end}")

    def _chunk(self, request: Request, match: re.Match[str]) -> Response:
        return self._take(request, match) or self._accepted(match["name"], match["upload"])

    def _finish(self, request: Request, match: re.Match[str]) -> Response:
        if refused := self._take(request, match):
            return refused
        data = bytes(self.holdings.uploads.pop(match["upload"]))
        digest = request.args.get("digest", "")
        if digest_of(data) != digest:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        with self._lock:
            self.holdings.blobs[match["name"], digest] = data
        return reply(201, docker_content_digest=digest, location=f"/v2/{match['name']}/blobs/{digest}")

    def take_name(self, name: str) -> None:
        """Another tenant has the organization."""
        self.holdings.organizations[name] = OTHER_ACCESS_KEY


@contextmanager
def scripted_swr() -> Iterator[ScriptedSwr]:
    """Three servers on ports of the loopback interface until the block ends."""
    servers = [Origin("127.0.0.1", 0, threaded=True) for _ in range(3)]
    for server in servers:
        server.start()
    try:
        yield ScriptedSwr(*servers)
    finally:
        for server in servers:
            server.stop()
