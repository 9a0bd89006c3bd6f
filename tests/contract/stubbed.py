"""The contract application in the process of the test, with a stub of `SwrClient` that responds or fails on demand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from unittest.mock import patch

import requests
from urllib3 import HTTPResponse
from werkzeug.test import Client, TestResponse

from adapter.contract import create_contract_app
from adapter.contract.concurrency import CALLS
from adapter.credentials import Credentials
from adapter.errors import AdapterError
from adapter.operations.logs import RequestLog, StartResponse
from adapter.references import RepositoryName, digest_of
from adapter.settings import RegionHosts, Settings
from adapter.state import MemoryState
from adapter.swr.blob_uploads import Mounting
from adapter.swr.catalog import ListedRepository, ListedTag
from adapter.swr.client import SwrClient
from adapter.swr.deletion import Deletion
from adapter.swr.manifest_validation import Manifest
from adapter.swr.models import Organization
from adapter.swr.registry import Blob
from adapter.swr.repository import Repository
from adapter.swr.tags import TagLister
from tests.contract.openapi import Exchanged
from tests.credentials import PROJECT, basic

LAYER: Final = b"a layer"
DIGEST: Final = digest_of(LAYER)
ORGANIZATIONS: Final = [Organization("team", 7, 4), Organization("teams"), Organization("trio", 3, 5)]
PUSHED: Final = "2026-11-23T22:35:04Z"
REPOSITORIES: Final = [ListedRepository("team", "app", PUSHED), ListedRepository("team", "deep/nested", None)]
TAGS: Final = [
    ListedTag("v1", DIGEST, "application/vnd.oci.image.manifest.v1+json", 7, PUSHED, is_list=False),
    ListedTag("v1b", DIGEST, None, 7, PUSHED, is_list=False),
    ListedTag("bare", None, None, None, None, is_list=False),
]
"""Two tags of one artifact, and one for which SWR lists only the name."""
OBJECT: Final = "https://objects.example/layer?Expires=1&Signature=x"


@dataclass(frozen=True)
class Ask:
    """A request, by default with the suite's credentials. `announced` is a false Content-Length."""

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default_factory=basic, repr=False)
    announced: int | None = None


class StubSwr:
    """All parts of an `SwrClient` in one. Every call raises `error` if it is set."""

    def __init__(self, manifest: tuple[str, bytes] = ("application/vnd.example.thing+json", b"{}")) -> None:
        self.regions = {PROJECT: RegionHosts("http://127.0.0.1:1")}
        self.tokens = self.organizations = self.registry = self.uploads = self.catalog = self.management = self
        self.state = MemoryState()
        me: Any = self
        self.tag_lister = TagLister(me)
        self.deletion = Deletion(me, me, me, self.tag_lister, translated=True)
        self.error: AdapterError | None = None
        self.outage: AdapterError | None = None
        self._manifest = manifest

    def _raise_error(self, *_: Any) -> None:
        if self.error is not None:
            raise self.error

    check = confirm = create = check_writable = cancel = delete_tag = authorize = _raise_error

    def report_outage(self, *_: Any) -> None:
        if self.outage is not None:
            raise self.outage

    def accepted(self, *_: Any) -> bool:
        return True

    def all(self, *_: Any) -> list[Organization]:
        self._raise_error()
        return ORGANIZATIONS

    def named(self, _: Any, names: Iterable[str]) -> list[Organization]:
        return [each for each in self.all() if each.name in names]

    def serves(self, *_: Any) -> bool:
        return True

    def repositories(self, *_: Any) -> list[ListedRepository]:
        self._raise_error()
        return REPOSITORIES

    def repository(self, credentials: Credentials, name: RepositoryName) -> Repository:
        return Repository(credentials, name)

    def tags(self, *_: Any) -> list[ListedTag]:
        self._raise_error()
        return TAGS

    def exchange(self, *_: Any, **__: Any) -> requests.Response:
        """The registry's tag list, the only use of `exchange` here."""
        self._raise_error()
        response = requests.Response()
        response.status_code = 200
        document = json.dumps({"name": "team/app", "tags": [tag.name for tag in TAGS]}).encode()
        response.raw = HTTPResponse(io.BytesIO(document), preload_content=False)
        return response

    def manifest(self, *_: Any, head: bool) -> Manifest:
        self._raise_error()
        media_type, data = self._manifest
        return Manifest(media_type, digest_of(data), len(data), None if head else data)

    def put_manifest(self, *called: Any) -> str:
        self._raise_error()
        return digest_of(called[2])

    def blob(self, *_: Any) -> Blob:
        self._raise_error()
        return Blob(len(LAYER))

    def open_blob(self, *called: Any) -> requests.Response:
        self._raise_error()
        response = requests.Response()
        part = len(called) > 2 and called[2]
        response.status_code = 206 if part else 200
        response.headers["Content-Length"] = str(len(LAYER))
        if part:
            response.headers["Content-Range"] = f"bytes 0-{len(LAYER) - 1}/{len(LAYER)}"
        else:
            response.headers["Content-Encoding"] = "gzip"
        response.raw = HTTPResponse(io.BytesIO(LAYER), preload_content=False)
        return response

    def blob_place(self, *_: Any) -> str:
        self._raise_error()
        return OBJECT

    def mount(self, *_: Any) -> Mounting:
        self._raise_error()
        return Mounting(done=True)

    def start(self, *_: Any) -> str:
        self._raise_error()
        return "/v2/team/app/blobs/uploads/x?_state=y"

    def chunk(self, *_: Any) -> str:
        return self.start()

    def status(self, *called: Any) -> tuple[str, int | None]:
        return self.start(), None

    def finish(self, *_: Any) -> None:
        self._raise_error()


class Stubbed:
    """A client of the application. `error_classes` are the classes of the errors in its responses.

    `calls` is the limit of concurrent requests with credentials.
    """

    def __init__(
        self, swr: StubSwr | None = None, *, defect: bool = False, calls: int = CALLS, **settings: Any
    ) -> None:
        self.error_classes: set[str] = set()
        with patch("adapter.contract.app.CALLS", calls), patch("adapter.contract.app.CHECKS", calls):
            app = create_contract_app(Settings(**settings), cast("SwrClient", swr or StubSwr()))
        if defect:
            app.before_request(self._fail)
        self._app = RequestLog(app, "contract")
        self._client = Client(self._serve)

    def _serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        if "adapter.error" in environ:
            self.error_classes.add(str(environ["adapter.error"]).partition(":")[0])
        return answer

    @staticmethod
    def _fail() -> None:
        raise RuntimeError("unhandled")

    def ask(self, ask: Ask) -> Exchanged:
        headers = dict(ask.headers)
        if ask.authorization is not None:
            headers["Authorization"] = ask.authorization
        response = self._client.open(
            ask.target,
            method=ask.method,
            data=ask.body,
            headers=headers,
            environ_overrides={} if ask.announced is None else {"CONTENT_LENGTH": str(ask.announced)},
        )
        answered = tuple((str(name), str(value)) for name, value in response.headers.items())
        body = response.get_data()
        response.close()
        return Exchanged(ask.method, ask.target, tuple(headers.items()), ask.body, response.status_code, answered, body)

    def open(self, target: str, environ: Mapping[str, Any] | None = None) -> TestResponse:
        """The response to a GET, whose body is not read; `environ` is what a server adds."""
        return self._client.open(target, headers={"Authorization": basic()}, environ_overrides=dict(environ or {}))

    def location(self, chunk: bytes = b"") -> str:
        """The location of a new upload, after `chunk` if there is one."""
        answer = self.ask(Ask("POST", "/v2/team/app/blobs/uploads/"))
        if chunk:
            answer = self.ask(Ask("PATCH", dict(answer.answered)["Location"], chunk))
        return dict(answer.answered)["Location"]
