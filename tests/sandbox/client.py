"""A small client of the sandbox: signs, logs in, pushes and pulls in separate steps."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_ID, ACCESS_KEY, LOGIN_KEY, SECRET_KEY, basic

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code, in any error format of SWR."""
        value = self.json
        if isinstance(value, list):
            return str(value[0]["errorCode"])
        return str(value.get("error_code") or value["errors"][0]["code"])

    def header(self, name: str) -> str:
        value = self.headers[name]
        assert value is not None, f"no {name} in {self.headers.items()}"
        return str(value)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def call(
    port: int,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] | None = None,
    *,
    host: str = "127.0.0.1",
) -> Answer:
    """One request on a new connection; an iterable is sent chunked."""
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request(method, target, body, dict(headers or {}), encode_chunked=not isinstance(body, bytes | None))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def sign(
    method: str,
    host: str,
    target: str,
    body: bytes = b"",
    *,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
    minutes: float = 0,
) -> dict[str, str]:
    """The headers of SDK-HMAC-SHA256, scheme A, for a target whose query, if any, is encoded and sorted."""
    path, _, query = target.partition("?")
    date = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")
    path = quote(path, safe="/-_.~%")
    path = path if path.endswith("/") else f"{path}/"
    headers = f"host:{host}\nx-sdk-date:{date}\n\nhost;x-sdk-date"
    canonical = f"{method}\n{path}\n{query}\n{headers}\n{hashlib.sha256(body).hexdigest()}"
    to_sign = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = f"SDK-HMAC-SHA256 Access={access_key}, SignedHeaders=host;x-sdk-date, Signature={signature}"
    return {"Host": host, "X-Sdk-Date": date, "Authorization": authorization}


class Sandbox:
    """A running sandbox; `store` is the directory that it serves."""

    def __init__(self, registry: int, api: int, objects: int, store: Store) -> None:
        self.registry = registry
        self.api = api
        self.objects = objects
        self.store = store

    # control

    def control(self, method: str, path: str, value: object = None) -> Answer:
        body = None if value is None else json.dumps(value).encode()
        return call(self.api, method, f"/sandbox/{path}", body=body)

    def set(self, **knobs: object) -> None:
        answer = self.control("PUT", "knobs", knobs)
        assert answer.status == 200, answer.body

    def fail(self, *rules: dict[str, object]) -> None:
        answer = self.control("PUT", "faults", list(rules))
        assert answer.status == 200, answer.body

    def journal(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", "journal").json
        return found

    # the management API

    def manage(self, method: str, target: str, value: object = None, **signing: Any) -> Answer:
        """A signed request to `/v2/manage/<target>`."""
        body = b"" if value is None else json.dumps(value).encode()
        path = f"/v2/manage/{target}"
        headers = sign(method, f"127.0.0.1:{self.api}", path, body, **signing)
        return call(self.api, method, path, headers, body or None)

    # the registry

    def log_in(self, *scopes: str, user: str = ACCESS_ID, secret: str = LOGIN_KEY) -> Answer:
        query = urlencode([("service", "dockyard"), *(("scope", scope) for scope in scopes)])
        target = f"/swr/auth/v2/registry/auth/?{query}"
        return call(self.registry, "GET", target, {"Authorization": basic(user, secret)})

    def bearer(self, repository: str, actions: str = "pull,push", **who: str) -> dict[str, str]:
        answer = self.log_in(f"repository:{repository}:{actions}", **who)
        assert answer.status == 200, answer.body
        return {"Authorization": f"Bearer {answer.json['token']}"}

    def v2(
        self,
        method: str,
        target: str,
        token: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        **headers: str,
    ) -> Answer:
        """`target` is a path, or a Location of the sandbox."""
        parts = urlsplit(target)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.registry, method, path, {**(token or {}), **more}, body)

    def start_upload(self, repository: str, token: Mapping[str, str]) -> str:
        answer = self.v2("POST", f"/v2/{repository}/blobs/uploads/", token)
        assert answer.status == 202, answer.body
        return answer.header("Location")

    def finish_upload(self, location: str, token: Mapping[str, str], digest: str, body: bytes | None = None) -> Answer:
        separator = "&" if "?" in location else "?"
        return self.v2("PUT", f"{location}{separator}digest={digest}", token, body)

    def push_blob(self, repository: str, data: bytes, token: Mapping[str, str]) -> str:
        answer = self.finish_upload(self.start_upload(repository, token), token, digest_of(data), data)
        assert answer.status == 201, answer.body
        return digest_of(data)

    def put_manifest(
        self, repository: str, reference: str, data: bytes, token: Mapping[str, str], media_type: str = DOCKER
    ) -> Answer:
        return self.v2("PUT", f"/v2/{repository}/manifests/{reference}", token, data, Content_Type=media_type)


def descriptor(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}


def image(config: bytes = b'{"architecture":"amd64","os":"linux"}', *layers: bytes, media_type: str = DOCKER) -> bytes:
    """A manifest over a config and layers; the caller pushes the blobs."""
    value = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, DOCKER_CONFIG),
        "layers": [descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip") for layer in layers],
    }
    return json.dumps(value).encode()


CONFIG = b'{"architecture":"amd64","os":"linux"}'


def seed(store: Store, repository: str, *tags: str, layer: bytes = b"layer") -> str:
    """Stores a small image in an organization of the default tenant; returns the digest of its manifest."""
    organization = repository.partition("/")[0]
    if store.organization(organization) is None:
        store.create_organization(organization)
    store.put_blob(repository, CONFIG)
    store.put_blob(repository, layer)
    data = image(CONFIG, layer)
    for reference in tags or (digest_of(data),):
        store.put_manifest(repository, reference, data, DOCKER)
    return digest_of(data)


def jwt_claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
