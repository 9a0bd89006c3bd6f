"""What SWR's error responses mean: an exception, with what to do, by code, by words and by status. Pure.

A new error code of SWR is one line in `_BY_NUMBER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapter import errors
from adapter.errors import AdapterError
from adapter.swr.error_response import ErrorResponse, is_gateway_code

_OTHER_OWNER: Final = (
    errors.Denied,
    "this SWR resource belongs to another account: check the namespace in the replication rule",
)
_NO_ORGANIZATION: Final = (
    errors.OrganizationUnknown,
    "organization not found in SWR: check the namespace in the replication rule, then run it again",
)
_THROTTLED: Final = (errors.Throttled, "SWR is rate-limiting this account: run fewer replications in parallel")
_ORGANIZATION_NAME: Final = (
    errors.NameInvalid,
    "SWR rejected the organization name: choose another destination namespace",
)
_REPOSITORY_NAME: Final = (
    errors.NameInvalid,
    "SWR rejected the repository name: set Flattening to 'Flatten All Levels' in the replication rule",
)
_LAYER_SIZE: Final = "SWR's size limit (10 GB per layer according to OTC's documentation)"

_BY_NUMBER: Final[Mapping[str, tuple[type[AdapterError], str]]] = {
    "4000013": (
        errors.DigestInvalid,
        "SWR reports a digest mismatch: run the replication again; if the error persists, the image is corrupt in "
        "Harbor",
    ),
    "4000031": (errors.CredentialsRefused, "SWR rejected the AK or SK: check both"),
    "4000097": (
        errors.OrganizationQuota,
        "SWR organization quota reached (default: 5): use an existing organization as destination namespace, delete an "
        "unused one, or ask OTC to raise the quota",
    ),
    "4000098": (errors.Denied, "SWR image quota reached: delete unused images, or ask OTC to raise the quota"),
    "4000099": (errors.Denied, "SWR tag limit of this image reached: delete old tags in SWR"),
    "4001008": _REPOSITORY_NAME,
    "4001028": _ORGANIZATION_NAME,
    "4001029": _REPOSITORY_NAME,
    "4009010": _ORGANIZATION_NAME,
    "4009011": _REPOSITORY_NAME,
    "4009021": (errors.TagInvalid, "SWR rejected the tag name: rename the tag"),
    "4010000": (errors.CredentialsRefused, "SWR rejected the credentials: check the AK and SK"),
    "4011044": (errors.Denied, "this SWR image belongs to another user: ask its owner for access"),
    "4011064": _OTHER_OWNER,
    "4031032": _THROTTLED,
    "4031042": _THROTTLED,
    "4037017": (errors.Denied, "no permission to modify SWR organizations: ask an administrator to grant it"),
    "4037018": (errors.Denied, "no permission to modify SWR images: ask an administrator to grant it"),
    "4037020": (errors.Denied, "no permission for this SWR repository: ask an administrator to grant it"),
    "4039001": _OTHER_OWNER,
    "4039002": (
        errors.Denied,
        "the account lacks the SWR permission for this operation: ask an administrator to grant it",
    ),
    "4040058": _NO_ORGANIZATION,
    "4041061": _NO_ORGANIZATION,
    "4090023": (errors.Unavailable, "SWR is busy with another request for this resource: try again later"),
    "4130025": (errors.TooLarge, f"the layer exceeds {_LAYER_SIZE}: split it into smaller layers"),
    "4131001": (errors.TooLarge, "the content exceeds SWR's size limit: split it into smaller layers"),
}
"""The digits of SWR's error code (`docs/facts/swr.md §4.12`) → exception and message."""

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

_API_UNKNOWN: Final = ".0101"
_CLOCK_PHRASES: Final = ("expired", "x-sdk-date", "timestamp", "skew", "time differ")


def error_for(response: ErrorResponse) -> AdapterError:
    """The exception to raise for an error response. A caller that knows more (blob, manifest, type) narrows it."""
    by_number = _BY_NUMBER.get(response.number)
    if by_number is not None:
        kind, sentence = by_number
        return kind(f"{sentence} [{response.code}]", **response.details())
    known = _wrong_address(response) or _gateway_error(response) or _error_by_message(response)
    if known is not None:
        return known
    if response.status == 404 and response.code == "BLOB_UPLOAD_INVALID":
        return errors.UploadUnknown(
            f"this upload cannot be continued in SWR: {response.quoted()}", **response.details()
        )
    if response.status == 404 and response.code in _BY_OCI_CODE:
        return _BY_OCI_CODE[response.code or ""](f"not found in SWR: {response.quoted()}", **response.details())
    return _error_by_status(response)


def management_error_for(response: ErrorResponse, region: str) -> AdapterError:
    """As `error_for`, for the management API.

    A 404 of that API means that a resource is gone or a list is empty, so a 404 of another server must not pass for it.
    """
    if response.astray:
        return errors.Unexpected(
            f"no SWR management API at the configured URL ({response.quoted()}): check the `api` of {region} in "
            "SWR_ADAPTER_REGIONS",
            **response.details(),
        )
    return error_for(response)


def registry_error_for(response: ErrorResponse, region: str) -> AdapterError:
    """As `error_for`, for the registry host.

    A 404 of the registry means that a manifest, a blob or an upload is absent. Harbor acts on it, so a 404 that is not
    in a registry's form must not pass for it.
    """
    if response.status == 404 and response.is_of_registry and not response.is_absence:
        return errors.Unexpected(
            f"SWR answered 404 with a code that does not mean absence ({response.described()}): report this",
            **response.details(),
        )
    if response.status == 404 and not response.is_absence:
        return errors.Unexpected(
            f"a 404 came from something other than SWR's registry ({response.described()}): check the `registry` of "
            f"{region} in SWR_ADAPTER_REGIONS, and any proxy or load balancer before it",
            **response.details(),
        )
    return error_for(response)


def _wrong_address(response: ErrorResponse) -> AdapterError | None:
    """For a response that reports a wrong address: it tells nothing about the resource, whatever its status."""
    if not response.misdirected or not (response.status == 404 or (response.code or "").endswith(_API_UNKNOWN)):
        return None
    return errors.Unexpected(
        f"no SWR API at this address ({response.described()}): check the hosts of the region in SWR_ADAPTER_REGIONS",
        **response.details(),
    )


def _gateway_error(response: ErrorResponse) -> AdapterError | None:
    """For a rejected signature, from the API gateway (`docs/facts/swr.md §3.1`)."""
    if not is_gateway_code(response.code):
        return None
    if response.says("limit") and response.says("forbidden"):
        return errors.AccountBlocked(
            "OTC locked this AK after repeated invalid signatures: check the AK and SK, then wait five minutes",
            **response.details(),
        )
    if any(response.says(phrase) for phrase in _CLOCK_PHRASES):
        return errors.ClockWrong(
            "OTC rejected the request timestamp (more than 15 minutes off): synchronize the clock of the adapter's "
            "host (NTP)",
            **response.details(),
        )
    if response.status == 429 or response.says("throttl"):
        return errors.Throttled(
            "OTC is rate-limiting this account: run fewer replications in parallel", **response.details()
        )
    if response.status in (401, 403) and response.says("ak", "not exist"):
        return errors.CredentialsRefused(
            "AK not found by OTC's API gateway: check the AK in the Access ID, and enter a permanent AK if it is a "
            "temporary one (Harbor has no field for the security token of a temporary AK)",
            **response.details(),
        )
    if response.status in (401, 403):
        return errors.CredentialsRefused(
            "OTC's API gateway rejected the AK/SK signature: check the AK and SK", **response.details()
        )
    return None


def _error_by_message(response: ErrorResponse) -> AdapterError | None:
    """For messages with a known meaning (`docs/facts/swr.md §4.13, §5, §6`)."""
    if response.says("organization", "not exist"):
        kind, sentence = _NO_ORGANIZATION
        return kind(sentence, **response.details())
    if response.says("authenticate error") or response.says("authentication failed"):
        return errors.CredentialsRefused(
            "SWR rejected the credentials: check the AK and the SK or login key (deleting an AK also revokes its login "
            "key)",
            **response.details(),
        )
    if response.says("not allow to login"):
        return errors.AccountBlocked(
            "SWR blocked this account for too many requests: wait about 30 minutes", **response.details()
        )
    return None


def _error_by_status(response: ErrorResponse) -> AdapterError:
    details, quoted = response.details(), response.quoted()
    match response.status:
        case 401:
            return errors.CredentialsRefused(f"SWR rejected the credentials (check the AK and SK): {quoted}", **details)
        case 403:
            return errors.Denied(f"SWR denied access (check the account's permissions): {quoted}", **details)
        case 404:
            return errors.RepositoryUnknown(f"not found in SWR: {quoted}", **details)
        case 413:
            return errors.TooLarge(f"the content exceeds {_LAYER_SIZE}: split it into smaller layers", **details)
        case 416:
            return errors.RangeInvalid(f"SWR rejected the chunk: {quoted}", **details)
        case 429:
            return _THROTTLED[0](_THROTTLED[1], **details)
        case status if status >= 500:
            return errors.Unavailable(f"SWR is not available: {quoted}", **details)
        case status if status >= 400:
            kind = _BY_OCI_CODE.get(response.code or "", errors.InvalidRequest)
            return kind(f"SWR rejected the request: {quoted}", **details)
    return errors.Unexpected(f"unexpected response from SWR: {quoted}", **details)
