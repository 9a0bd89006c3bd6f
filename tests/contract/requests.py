"""The requests of the tests of `openapi/contract.yaml`: accepted ones, rejected ones, and the errors of SWR."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from adapter import errors
from adapter.contract.uploads import HARBOR_USER_AGENT
from adapter.errors import AdapterError
from tests.contract.stubbed import DIGEST, LAYER, Ask, Stubbed
from tests.credentials import LOGIN_KEY, basic
from tests.openapi import Operation

DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": len(LAYER)}
IMAGE = {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
INDEX = {"schemaVersion": 2, "manifests": [DESCRIPTOR]}
MANIFESTS: Final[dict[str, dict[str, Any]]] = {
    "application/vnd.oci.image.manifest.v1+json": IMAGE,
    "application/vnd.docker.distribution.manifest.v2+json": IMAGE,
    "application/vnd.oci.image.index.v1+json": INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json": INDEX,
    "application/vnd.example.thing+json": {},
}

MANIFEST, BLOB, UPLOADS = "/v2/team/app/manifests/v1", f"/v2/team/app/blobs/{DIGEST}", "/v2/team/app/blobs/uploads/"
PROJECTS, REPOSITORIES = "/api/v2.0/projects", "/api/v2.0/repositories"
TAGS, CATALOG = "/v2/team/app/tags/list", "/v2/_catalog"
OF_TEAM = f"{PROJECTS}/team/repositories"
ARTIFACTS = f"{OF_TEAM}/deep%252Fnested/artifacts"
SOURCE = f"{REPOSITORIES}?q=blob_digest%3D{DIGEST}&page_size=1&page_number=1"
SHA512 = f"sha512:{'a' * 128}"
TEAM = json.dumps({"project_name": "team", "metadata": {"public": "false"}}).encode()

FROM_HARBOR = {"User-Agent": HARBOR_USER_AGENT}

READS = (
    Ask("GET", "/v2/"),
    Ask("GET", MANIFEST),
    Ask("GET", BLOB),
    Ask("GET", "/api/version"),
    Ask("GET", "/api/v2.0/ping", authorization=None),
    Ask("GET", "/api/v2.0/health", authorization=None),
    Ask("GET", "/api/v2.0/labels?scope=g"),
    Ask("GET", f"{PROJECTS}?q=name%3D%7B%27team%27%7D&with_detail=false&page=1&page_size=10"),
    Ask("GET", SOURCE),
    Ask("GET", TAGS),
    Ask("GET", CATALOG),
    Ask("GET", OF_TEAM),
    Ask("GET", f"{ARTIFACTS}?page_size=100&with_label=true&with_accessory=true&with_tag=true"),
    Ask("GET", f"{ARTIFACTS}/{DIGEST}?with_accessory=true&with_tag=true&with_label=true"),
)


def requests_of(door: Stubbed) -> list[Ask]:
    """At least one request for each operation; all of them conform."""
    manifests = [
        Ask("PUT", MANIFEST, json.dumps(document).encode(), {"Content-Type": media_type})
        for media_type, document in MANIFESTS.items()
    ]
    uploads = [
        Ask("POST", UPLOADS),
        Ask("POST", f"{UPLOADS}?mount={DIGEST}&from=team%2Fother"),
        Ask("GET", SOURCE),
        Ask("POST", f"{UPLOADS}?digest={DIGEST}", LAYER, {"Content-Type": "application/octet-stream"}),
        Ask("GET", door.location(b"a chunk")),
        Ask("PATCH", door.location(), b"a chunk", {"Content-Range": "0-6"}),
        Ask("PUT", f"{door.location()}?digest={DIGEST}", LAYER),
        Ask("DELETE", door.location()),
    ]
    others = [
        Ask("GET", BLOB, headers={"Range": "bytes=0-6"}),
        Ask("GET", f"{PROJECTS}?page=1&page_size=1", headers={"X-Request-Id": "a.1"}),
        Ask("GET", f"{PROJECTS}?name=team&page=2&page_size=1"),
        Ask("GET", f"{PROJECTS}?page=2&page_size=1&after=team"),
        Ask("POST", PROJECTS, TEAM, {"Content-Type": "application/json"}),
        *(Ask("GET", f"{each}?n=1&last=a") for each in (TAGS, CATALOG)),
        Ask("GET", f"{TAGS}?n=0"),
        Ask("GET", f"{OF_TEAM}?q=name%3D~p&page=1&page_size=1"),
        Ask("GET", f"{OF_TEAM}?page=2&page_size=1&after=app"),
        Ask("GET", f"{ARTIFACTS}?q=tags%3D%2A&page=1&page_size=1"),
        Ask("GET", f"{ARTIFACTS}?page=2&page_size=1&after={DIGEST}"),
        Ask("GET", f"{ARTIFACTS}/v1?with_tag=false"),
        Ask("DELETE", MANIFEST),
        Ask("DELETE", f"{ARTIFACTS}/v1/tags/v1"),
    ]
    asks = [*READS, *uploads, *manifests, *others]
    return asks + [
        replace(each, method="HEAD") for each in asks if each.method == "GET" and "Range" not in each.headers
    ]


# Errors that come from SWR or from a transfer. The routes raise the others, see `malformed` and `unfit`.

SWR = {
    *(errors.InvalidRequest, errors.CredentialsRefused, errors.ClockWrong, errors.Denied, errors.AccountBlocked),
    *(errors.OrganizationUnknown, errors.RepositoryUnknown, errors.Throttled, errors.Unreachable),
    *(errors.CertificateUntrusted, errors.Unexpected, errors.Unavailable, errors.TimedOut),
}
UPLOAD = SWR | {
    *(errors.UploadUnknown, errors.UploadInvalid, errors.DigestInvalid, errors.SizeInvalid),
    *(errors.TooLarge, errors.RangeInvalid),
}
ORGANIZATION = {
    *(errors.OrganizationExists, errors.OrganizationTaken, errors.OrganizationQuota, errors.OrganizationReserved),
    *(errors.CreationRefused, errors.NameInvalid),
}
DELETION = {errors.ManifestUnknown, errors.DeletionRefused}
SUPPRESSED = {each for each in SWR if issubclass(each, errors.UpstreamError | errors.Throttled)}
RAISED: dict[str, set[type[AdapterError]]] = {
    "GET /v2/": SWR,
    "GET /v2/{name}/manifests/{reference}": SWR | {errors.ManifestUnknown},
    "PUT /v2/{name}/manifests/{reference}": SWR | {errors.ManifestInvalid, errors.TypeRefused, errors.TooLarge},
    "GET /v2/{name}/blobs/{digest}": SWR | {errors.BlobUnknown, errors.RangeInvalid},
    "HEAD /v2/{name}/blobs/{digest}": SWR | {errors.BlobUnknown},
    "POST /v2/{name}/blobs/uploads/": UPLOAD | ORGANIZATION - {errors.OrganizationExists} | {errors.BlobUnknown},
    "PATCH /v2/{name}/blobs/uploads/{token}": UPLOAD | {errors.UploadBusy},
    "PUT /v2/{name}/blobs/uploads/{token}": UPLOAD | {errors.UploadBusy},
    "DELETE /v2/{name}/blobs/uploads/{token}": SWR | {errors.UploadUnknown},
    "DELETE /v2/{name}/manifests/{reference}": SWR | DELETION,
    "GET /v2/{name}/tags/list": SWR,
    "GET /v2/_catalog": SWR,
    "GET /api/v2.0/projects/{project}/repositories": SWR,
    "GET /api/v2.0/projects/{project}/repositories/{name}/artifacts": SWR,
    "GET /api/v2.0/projects/{project}/repositories/{name}/artifacts/{reference}": SWR | {errors.ManifestUnknown},
    "DELETE /api/v2.0/projects/{project}/repositories/{name}/artifacts/{reference}/tags/{tag}": SWR | DELETION,
    "GET /api/v2.0/labels": SWR - SUPPRESSED,
    "GET /api/v2.0/projects": SWR,
    "POST /api/v2.0/projects": SWR | ORGANIZATION,
}
"""HEAD raises the same errors as GET unless it is listed."""


def raised_at(operation: Operation) -> set[type[AdapterError]]:
    alike = str(operation).replace("HEAD", "GET")
    return RAISED.get(str(operation), RAISED.get(alike, set()))


def secured(ask: Ask) -> bool:
    return ask.authorization is not None


def malformed(door: Stubbed) -> list[tuple[int, str, Ask]]:
    """(status, error class, request) of malformed requests, which do not conform."""
    location = door.location()
    names = "/v2/Team/app/", "/v2/app/"
    return [
        *((400, "NameInvalid", Ask("GET", f"{each}manifests/v1")) for each in names),
        *((400, "NameInvalid", Ask("GET", f"{each}blobs/{DIGEST}")) for each in names),
        (400, "NameInvalid", Ask("GET", "/v2/Team/app/blobs/uploads/x")),
        (400, "NameInvalid", Ask("POST", PROJECTS, b'{"project_name":"-"}')),
        (400, "InvalidRequest", Ask("POST", PROJECTS, b"[]")),
        *(
            (400, "InvalidRequest", Ask("GET", f"{each}?page=0"))
            for each in (PROJECTS, REPOSITORIES, OF_TEAM, ARTIFACTS)
        ),
        *((400, "InvalidRequest", Ask("GET", f"{each}?n=x")) for each in (TAGS, CATALOG)),
        (400, "DigestInvalid", Ask("GET", f"{REPOSITORIES}?q=blob_digest=sha256:1")),
        *(
            (400, "NameInvalid", Ask("GET", f"{PROJECTS}/{each}"))
            for each in ("A/repositories", "a/repositories/B/artifacts")
        ),
        (400, "TagInvalid", Ask("GET", f"{ARTIFACTS}/-v1")),
        (400, "DigestInvalid", Ask("GET", f"{ARTIFACTS}/sha256:1")),
        (400, "TagInvalid", Ask("DELETE", f"{ARTIFACTS}/v1/tags/-v1")),
        (400, "DigestInvalid", Ask("POST", f"{UPLOADS}?mount=x&from=team/other")),
        (400, "NameInvalid", Ask("POST", f"{UPLOADS}?mount={DIGEST}&from=other", headers=FROM_HARBOR)),
        *((400, "DigestInvalid", Ask("POST", f"{UPLOADS}?{each}={SHA512}")) for each in ("digest", "mount")),
        (400, "DigestInvalid", Ask("PUT", f"{location}?digest={SHA512}", LAYER)),
        (404, "ManifestUnknown", Ask("GET", "/v2/team/app/manifests/-v1")),
        (400, "TagInvalid", Ask("PUT", "/v2/team/app/manifests/-v1", b"{}")),
        (404, "ManifestUnknown", Ask("GET", "/v2/team/app/manifests/sha256:1")),
        (400, "DigestInvalid", Ask("GET", "/v2/team/app/blobs/sha256:1")),
        (400, "ManifestInvalid", Ask("PUT", MANIFEST, b"[]", {"Content-Type": "a/b"})),
        (400, "DigestInvalid", Ask("POST", f"{UPLOADS}?digest=x", LAYER)),
        (400, "DigestInvalid", Ask("PUT", location, LAYER)),
        (416, "RangeInvalid", Ask("PATCH", location, LAYER, {"Content-Range": "x"})),
        *((404, "RouteUnknown", Ask("GET", each)) for each in ("/v2/nothing", "/api/v2.0/nothing", "/nothing")),
        *((405, "MethodUnsupported", Ask("DELETE", each)) for each in ("/v2/", PROJECTS, "/api/v2.0/ping")),
    ]


def unfit(door: Stubbed) -> list[tuple[int, str, Ask]]:
    """(status, error class, request) of well-formed requests that are rejected for their content or for the state of
    the upload."""
    location, later = door.location(), door.location(b"a chunk")
    put, typed = f"{location}?digest={DIGEST}", {"Content-Type": "a/b"}
    return [
        (403, "OrganizationReserved", Ask("POST", PROJECTS, b'{"project_name":"library"}')),
        (400, "SizeInvalid", Ask("POST", PROJECTS, TEAM, announced=999)),
        (413, "TooLarge", Ask("POST", PROJECTS, TEAM + b" " * (64 << 10))),
        (400, "DigestInvalid", Ask("PUT", f"/v2/team/app/manifests/{DIGEST}", b"{}", typed)),
        (413, "TooLarge", Ask("PUT", MANIFEST, b"{}" + b" " * (4 << 20), typed)),
        (400, "SizeInvalid", Ask("PUT", MANIFEST, b"{}", typed, announced=9)),
        (400, "DigestInvalid", Ask("PUT", f"/v2/team/app/manifests/{SHA512}", b"{}", typed)),
        (400, "DigestInvalid", Ask("PUT", put, b"another")),
        (400, "SizeInvalid", Ask("PUT", put, LAYER, announced=9)),
        (400, "SizeInvalid", Ask("PATCH", location, LAYER, {"Content-Range": "0-1"})),
        *((413, "TooLarge", Ask(method, target, b"x" * 101)) for method, target in (("PATCH", location), ("PUT", put))),
        (413, "TooLarge", Ask("POST", f"{UPLOADS}?digest={DIGEST}", b"x" * 101)),
        (416, "RangeInvalid", Ask("PATCH", location, LAYER, {"Content-Range": "9-15"})),
        (416, "RangeInvalid", Ask("PATCH", later, LAYER, {"Content-Range": "0-6"})),
        (416, "RangeInvalid", Ask("PUT", f"{later}?digest={DIGEST}", LAYER, {"Content-Range": "8-14"})),
        (416, "RangeInvalid", Ask("POST", f"{UPLOADS}?digest={DIGEST}", LAYER, {"Content-Range": "6-0"})),
        *((404, "UploadUnknown", Ask(method, f"{UPLOADS}x")) for method in ("GET", "HEAD", "PATCH", "DELETE")),
        (404, "UploadUnknown", Ask("PUT", f"{UPLOADS}x?digest={DIGEST}", LAYER)),
    ]


BUSY = [Ask("GET", BLOB), Ask("POST", f"{UPLOADS}?digest={DIGEST}", LAYER)]
STRANGERS = {None, "Bearer x", basic("", ""), basic("no-at"), basic(f"xx-yy@{LOGIN_KEY[:8]}"), basic(secret="")}
