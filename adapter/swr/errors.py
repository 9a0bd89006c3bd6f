"""SWR's four shapes of an error → one exception that keeps SWR's code and request id. Pure.

| shape | who | `docs/facts/swr.md` |
|---|---|---|
| `[{"errorCode", "errorMessage", "detail"}]` | management API | §4.12 (DOC) |
| `{"errors": [{"errorCode", "errorMessage"}], "error_code", "error_msg"}` | management API | §4.12 (HW) |
| `{"error_code", "error_msg", "request_id"}` | API gateway | §3.1 (DOC) |
| `{"errors": [{"code", "message", "detail"}]}` | registry, token endpoint | §5, §6 (HW) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter import errors
from adapter.documents import parse_json
from adapter.errors import AdapterError

_LONGEST_MESSAGE: Final = 300
_OUTER: Final = frozenset({"errorCode", "errorMessage", "error_code", "error_msg"})
_INNER: Final = _OUTER | {"code", "message"}
"""What an error has at the top of an answer, and in a list of errors."""
_URL_UNKNOWN: Final = "4040083"
_BUSY: Final = "4090023"
_TOO_MANY: Final = frozenset({"4031032", "4031042"})
_API_UNKNOWN: Final = ".0101"
_GATEWAY: Final = ("APIG.", "APIGW.")
"""What the codes of OTC's API gateway begin with: the documentation has the first, OTC's answers have the second."""
_ABSENT: Final = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_UNKNOWN",
        "NAME_UNKNOWN",
        "NOT_FOUND",
    }
)
"""Codes with which registries say that something is not there (OCI distribution spec, "Error Codes"; Harbor's own).

CNCF distribution answers an upload that cannot go on with 404 and BLOB_UPLOAD_INVALID.
"""
_OTHER_OCI_CODES: Final = frozenset({"DENIED", "TOOMANYREQUESTS", "UNAUTHORIZED", "UNSUPPORTED"})
"""Codes of the same specification, beside those of `_BY_OCI_CODE`, that say something else."""
_ABSENT_IN_WORDS: Final = ("not exist", "not found", "unknown")
_LONGEST_TYPE: Final = 100


def is_gateway_code(code: str | None) -> bool:
    """Whether an error code is one of OTC's API gateway (`docs/facts/swr.md §3.1`), under either of its prefixes."""
    return (code or "").startswith(_GATEWAY)


@dataclass(frozen=True)
class ErrorResponse:
    """An answer that is not 2xx: HTTP status, and SWR's code, message and request id where it gave them.

    `shaped`: its body has one of SWR's four shapes, whatever the fields hold. `content_type` is that of the body.
    `headed`: its headers are a registry's (`has_registry_headers`).
    """

    status: int
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    shaped: bool = False
    content_type: str | None = None
    headed: bool = False

    @property
    def number(self) -> str:
        """The digits of `SVCSTG.SWR.4000097`, or an empty string."""
        prefix, _, digits = (self.code or "").rpartition(".")
        return digits if prefix.endswith("SWR") else ""

    @property
    def misdirected(self) -> bool:
        """Whether it says that the address is wrong: by SWR's code for that (`docs/facts/swr.md §4.12`), or by any of
        the gateway's (§3.1)."""
        return self.number == _URL_UNKNOWN or is_gateway_code(self.code)

    @property
    def passing(self) -> bool:
        """Whether SWR's code says that the same request may be accepted a little later, whatever the status
        (`docs/facts/swr.md §4.12`)."""
        return self.number == _BUSY or self.number in _TOO_MANY

    @property
    def astray(self) -> bool:
        """Whether it is a 404 of the address, and so says nothing of what was looked for there.

        Other servers answer in other shapes than SWR. What a missing repository is answered with is documented in part
        only, so any other code, or none, will do.
        """
        return self.status == 404 and (self.misdirected or not (self.shaped or self.number))

    @property
    def is_of_registry(self) -> bool:
        """Whether it is in a registry's own form, by body or headers, or has a number of SWR's, and does not say
        that the address is wrong: whatever it says then, it says of what was asked for."""
        return not self.misdirected and bool(self.number or (self.shaped and self.code) or self.headed)

    @property
    def is_absence(self) -> bool:
        """Whether it is a 404 with which a registry, or SWR, says that what was asked for is not there.

        SWR's own answer for a missing blob or manifest is not known (`docs/facts/swr.md §6`): so a registry's headers
        will do where the body has no code, and a code that no specification has where its words say so. The codes that
        mean something else will not.
        """
        if self.status != 404 or not self.is_of_registry:
            return False
        if self.number:
            return self.number.startswith("404")
        if not (self.shaped and self.code):
            return self.headed
        unspecified = self.code not in _BY_OCI_CODE and self.code not in _OTHER_OCI_CODES
        return self.code in _ABSENT or (unspecified and any(self.says(words) for words in _ABSENT_IN_WORDS))

    def says(self, *words: str) -> bool:
        """Whether the message contains all the words, in any case."""
        text = (self.message or "").lower()
        return all(word in text for word in words)

    def details(self) -> dict[str, Any]:
        """Keyword arguments for an `AdapterError`."""
        return {
            "swr_code": self.code,
            "swr_message": self.message,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
        }

    def quoted(self) -> str:
        """SWR's own words for a sentence."""
        said = ": ".join(filter(None, (self.code, self.message)))
        return f"SWR answered {self.status}" + (f" ({said})" if said else "")

    def described(self) -> str:
        """What answered, for a sentence about something that may not be SWR."""
        kind = f"content type {self.content_type}" if self.content_type else "no content type"
        said = ": ".join(filter(None, (self.code, self.message)))
        return f"status {self.status}, {kind}" + (f", {said}" if said else "")


def _entry(document: object) -> Mapping[str, Any]:
    """The first error object of any shape."""
    if isinstance(document, list):
        return _entry(document[0]) if document else {}
    if not isinstance(document, dict):
        return {}
    inner = document.get("errors")
    return {**document, **_entry(inner)} if inner else document


def _is_shaped(document: object) -> bool:
    """Whether it is an error in one of the four shapes."""
    if isinstance(document, list):
        return bool(document) and isinstance(document[0], dict) and not _INNER.isdisjoint(document[0])
    if not isinstance(document, dict):
        return False
    inner = document.get("errors")
    return not _OUTER.isdisjoint(document) or (isinstance(inner, list) and _is_shaped(inner))


def _first(entry: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:_LONGEST_MESSAGE]
    return None


def _plain_text(body: bytes, headers: Mapping[str, str]) -> str | None:
    """What Go's servers and many proxies answer with; a page of HTML would say nothing in one line."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/plain":
        return None
    text = " ".join(body.decode(errors="replace").split())
    return text if text.isprintable() else None


def _content_type(headers: Mapping[str, str]) -> str | None:
    kind = headers.get("Content-Type", "").strip()[:_LONGEST_TYPE]
    return kind if kind and kind.isascii() and kind.isprintable() else None


def has_registry_headers(headers: Mapping[str, str]) -> bool:
    """Whether the headers of an answer show a registry: the version that registries announce (Docker's HTTP API V2,
    "API Version Check"), or the header that SWR was seen to send (`docs/facts/swr.md §6`).

    The configuration of nginx that Docker documents adds the version to nginx's own pages too: a page is never one.
    """
    if "html" in headers.get("Content-Type", "").lower():
        return False
    return "Docker-Distribution-Api-Version" in headers or headers.get("forserver", "").strip().lower() == "swr"


def parse_error_response(
    status: int, body: bytes, headers: Mapping[str, str], retry_after: float | None = None
) -> ErrorResponse:
    """Reads any of the four shapes, and a plain text as the message; a body that is none of them is left out."""
    try:
        document = parse_json(body)
        entry = _entry(document)
    except (ValueError, RecursionError):
        document, entry = None, {"message": _plain_text(body, headers)}
    return ErrorResponse(
        status,
        _first(entry, "errorCode", "error_code", "code"),
        _first(entry, "errorMessage", "error_msg", "message"),
        _first(entry, "request_id", "requestId") or headers.get("X-Request-Id"),
        retry_after,
        _is_shaped(document),
        _content_type(headers),
        has_registry_headers(headers),
    )


_BY_NUMBER: Final[Mapping[str, tuple[type[AdapterError], str]]] = {
    "4000097": (
        errors.OrganizationQuota,
        "SWR allows this account no further organization (the quota is 5 by default): use one that exists as "
        "destination namespace, delete one that is not needed, or have OTC raise the quota",
    ),
    "4000098": (errors.Denied, "SWR allows this account no further image: delete some, or have OTC raise the quota"),
    "4000099": (errors.Denied, "SWR allows this image no further tag: delete some in SWR"),
    "4011064": (errors.Denied, "this resource of SWR belongs to another account"),
    "4011044": (errors.Denied, "this image of SWR belongs to another user: have its owner grant the permission"),
    "4039001": (errors.Denied, "this resource of SWR belongs to another account"),
    "4039002": (errors.Denied, "the account lacks the SWR permission for this: have an administrator grant it"),
    "4037017": (errors.Denied, "the account may change no organization of SWR: have an administrator grant it"),
    "4037018": (errors.Denied, "the account may change no image of SWR: have an administrator grant it"),
    "4037020": (
        errors.Denied,
        "the account lacks permission for this repository of SWR: have an administrator grant it",
    ),
    "4000031": (errors.CredentialsRefused, "SWR refuses the AK or the SK: check both"),
    "4010000": (errors.CredentialsRefused, "SWR refuses the credentials: check AK and SK"),
    "4040058": (errors.OrganizationUnknown, "the organization does not exist in SWR"),
    "4041061": (errors.OrganizationUnknown, "the organization does not exist in SWR"),
    **dict.fromkeys(_TOO_MANY, (errors.Throttled, "SWR throttles this account: run fewer replications at once")),
    _BUSY: (errors.Unavailable, "SWR is busy with another request for this: try again later"),
    "4000013": (errors.DigestInvalid, "SWR says that the content does not match its digest"),
    "4130025": (errors.TooLarge, "the layer is larger than SWR takes (10 GB by OTC's documentation)"),
    "4131001": (errors.TooLarge, "the content is larger than SWR takes"),
    **dict.fromkeys(
        ("4001028", "4009010"),
        (errors.NameInvalid, "SWR does not take the name of this organization: choose another destination namespace"),
    ),
    **dict.fromkeys(
        ("4001029", "4009011", "4001008"),
        (
            errors.NameInvalid,
            "SWR does not take the name of this repository: 'Flatten All Levels' in the replication rule keeps only "
            "its last part",
        ),
    ),
    "4009021": (errors.TagInvalid, "SWR does not take this tag"),
}
"""Codes with a meaning of their own (`docs/facts/swr.md §4.12`) → exception and what to do."""

_BY_OCI_CODE: Final[Mapping[str, type[AdapterError]]] = {
    "BLOB_UNKNOWN": errors.BlobUnknown,
    "BLOB_UPLOAD_INVALID": errors.UploadInvalid,
    "BLOB_UPLOAD_UNKNOWN": errors.UploadUnknown,
    "DIGEST_INVALID": errors.DigestInvalid,
    "MANIFEST_BLOB_UNKNOWN": errors.ManifestInvalid,
    "MANIFEST_INVALID": errors.ManifestInvalid,
    "MANIFEST_UNKNOWN": errors.ManifestUnknown,
    "NAME_INVALID": errors.NameInvalid,
    "NAME_UNKNOWN": errors.RepositoryUnknown,
    "SIZE_INVALID": errors.SizeInvalid,
    "TAG_INVALID": errors.TagInvalid,
}


def _misdirected(error_response: ErrorResponse) -> AdapterError | None:
    """What says that the address is wrong says nothing of what was looked for there, whatever its status."""
    if not error_response.misdirected or not (
        error_response.status == 404 or (error_response.code or "").endswith(_API_UNKNOWN)
    ):
        return None
    return errors.Unexpected(
        f"the address is not one of SWR's ({error_response.described()}): check the hosts of the region in "
        "SWR_ADAPTER_REGIONS",
        **error_response.details(),
    )


def _gateway(error_response: ErrorResponse) -> AdapterError | None:
    """The API gateway's refusals of a signature (`docs/facts/swr.md §3.1`)."""
    if not is_gateway_code(error_response.code):
        return None
    if error_response.says("limit") and error_response.says("forbidden"):
        return errors.AccountBlocked(
            "OTC has locked this AK for some minutes after several bad signatures: check AK and SK, "
            "then wait five minutes",
            **error_response.details(),
        )
    if any(error_response.says(word) for word in ("expired", "x-sdk-date", "timestamp", "skew", "time differ")):
        return errors.ClockWrong(
            "OTC refuses the signature for its time: the clock of this machine must be right to 15 minutes",
            **error_response.details(),
        )
    if error_response.status == 429 or error_response.says("throttl"):
        return errors.Throttled(
            "OTC throttles this account: run fewer replications at once", **error_response.details()
        )
    if error_response.status in (401, 403) and error_response.says("ak", "not exist"):
        return errors.CredentialsRefused(
            "OTC's API gateway does not find this AK: check the AK in the Access ID, and enter a permanent AK if it is "
            "a temporary one (Harbor has no field for the security token that goes with a temporary AK)",
            **error_response.details(),
        )
    if error_response.status in (401, 403):
        return errors.CredentialsRefused(
            "OTC's API gateway refuses the AK/SK signature: check AK and SK", **error_response.details()
        )
    return None


def _registry(error_response: ErrorResponse) -> AdapterError | None:
    """Refusals known by their words (`docs/facts/swr.md §4.13, §5, §6`)."""
    if error_response.says("organization", "not exist"):
        return errors.OrganizationUnknown("the organization does not exist in SWR", **error_response.details())
    if error_response.says("authenticate error") or error_response.says("authentication failed"):
        return errors.CredentialsRefused(
            "SWR refuses the credentials: check the AK, and the SK or login key; "
            "an AK that was deleted takes its login key with it",
            **error_response.details(),
        )
    if error_response.says("not allow to login"):
        return errors.AccountBlocked(
            "SWR has blocked this account for heavy use: it may try again after about 30 minutes",
            **error_response.details(),
        )
    return None


def _by_status(error_response: ErrorResponse) -> AdapterError:
    details = error_response.details()
    if error_response.status == 401:
        return errors.CredentialsRefused(f"SWR refuses the credentials: {error_response.quoted()}", **details)
    if error_response.status == 403:
        return errors.Denied(f"SWR denies it: {error_response.quoted()}", **details)
    if error_response.status == 404:
        return errors.RepositoryUnknown(f"not found in SWR: {error_response.quoted()}", **details)
    if error_response.status == 413:
        return errors.TooLarge("the content is larger than SWR takes (10 GB a layer by OTC's documentation)", **details)
    if error_response.status == 416:
        return errors.RangeInvalid(f"SWR does not take the chunk: {error_response.quoted()}", **details)
    if error_response.status == 429:
        return errors.Throttled("SWR throttles this account: run fewer replications at once", **details)
    if error_response.status >= 500:
        return errors.Unavailable(f"SWR is not available: {error_response.quoted()}", **details)
    if 400 <= error_response.status < 500:
        kind = _BY_OCI_CODE.get(error_response.code or "", errors.InvalidRequest)
        return kind(f"SWR refuses it: {error_response.quoted()}", **details)
    return errors.Unexpected(f"an answer that SWR should not give: {error_response.quoted()}", **details)


def error_for(error_response: ErrorResponse) -> AdapterError:
    """What to raise for an answer of SWR. A caller that knows more (blob, manifest, type) narrows it."""
    by_number = _BY_NUMBER.get(error_response.number)
    if by_number is not None:
        kind, sentence = by_number
        return kind(f"{sentence} [{error_response.code}]", **error_response.details())
    known = _misdirected(error_response) or _gateway(error_response) or _registry(error_response)
    if known is not None:
        return known
    if error_response.status == 404 and error_response.code == "BLOB_UPLOAD_INVALID":
        return errors.UploadUnknown(
            f"this upload cannot go on in SWR: {error_response.quoted()}", **error_response.details()
        )
    if error_response.status == 404 and error_response.code in _BY_OCI_CODE:
        return _BY_OCI_CODE[error_response.code or ""](
            f"not found in SWR: {error_response.quoted()}", **error_response.details()
        )
    return _by_status(error_response)


def management_error_for(error_response: ErrorResponse, region: str) -> AdapterError:
    """As `error_for`, for the management API: there a 404 means that something is gone, or that a list is empty, so
    one that does not come from that API must not pass for it."""
    if error_response.astray:
        return errors.Unexpected(
            f"SWR's management API is not where it was asked for: {error_response.quoted()}: check the "
            f"`api` of {region} in SWR_ADAPTER_REGIONS",
            **error_response.details(),
        )
    return error_for(error_response)


def registry_error_for(error_response: ErrorResponse, region: str) -> AdapterError:
    """As `error_for`, for the registry host: there a 404 means that a manifest, a blob or an upload is not there, and
    Harbor acts on it, so one that is not in a registry's form must not pass for it."""
    if error_response.status == 404 and error_response.is_of_registry and not error_response.is_absence:
        return errors.Unexpected(
            f"SWR answered 404 with a code that does not mean absence ({error_response.described()}): report this",
            **error_response.details(),
        )
    if error_response.status == 404 and not error_response.is_absence:
        return errors.Unexpected(
            f"a 404 came from something other than SWR's registry ({error_response.described()}): check the "
            f"`registry` of {region} in SWR_ADAPTER_REGIONS, and any proxy or load balancer before it",
            **error_response.details(),
        )
    return error_for(error_response)
