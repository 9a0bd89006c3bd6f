"""One exception tree for everything that a person or a program can be told.

    AdapterError
    ├── InvalidRequest             400  the caller's request is malformed
    │   ├── NameInvalid
    │   ├── TagInvalid
    │   ├── DigestInvalid
    │   ├── SizeInvalid
    │   ├── ManifestInvalid
    │   │   └── TypeRefused             SWR does not take this kind of manifest
    │   └── UploadInvalid
    ├── CredentialsError           401
    │   ├── NothingEntered
    │   ├── AccessIdMalformed
    │   ├── RegionUnknown
    │   ├── CredentialsRefused          SWR said no
    │   └── ClockWrong                  the signature's time is off
    ├── Denied                     403
    │   ├── AccountBlocked              SWR, or OTC's gateway, has locked the account for a while
    │   ├── OrganizationQuota
    │   ├── OrganizationTaken           the name belongs to another account
    │   ├── OrganizationReserved
    │   ├── CreationRefused             switched off, or impossible with these credentials
    │   └── DeletionRefused             SWR, or the way that these credentials open to it, does not delete this
    ├── NotFound                   404
    │   ├── OrganizationUnknown
    │   ├── RepositoryUnknown
    │   ├── BlobUnknown
    │   ├── ManifestUnknown
    │   ├── UploadUnknown
    │   └── RouteUnknown
    ├── MethodUnsupported          405
    ├── OrganizationExists         409
    ├── UploadBusy                 409  another request writes to this upload
    ├── TooLarge                   413
    ├── RangeInvalid               416
    ├── Throttled                  429
    ├── InternalError              500
    ├── Busy                       503  the adapter itself has no room
    └── UpstreamError              502
        ├── Unreachable            502
        ├── CertificateUntrusted   502
        ├── Unexpected             502  an answer that makes no sense
        ├── Unavailable            503  SWR answered 5xx
        └── TimedOut               503

`status` is the HTTP status for the caller, `code` the error code of the OCI distribution spec
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes), and the
exception's text one sentence that says what to do. Harbor prints it in its task log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AdapterError(Exception):
    """Base of everything that is answered to a caller; never raised itself.

    `swr_code` (`SVCSTG.SWR.4000097`, `APIGW.0301`, `DENIED`), `swr_message` and `request_id` are
    SWR's own, where it gave any; `retry_after` is in seconds; `headers` go into the answer.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        sentence: str,
        *,
        swr_code: str | None = None,
        swr_message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.swr_code = swr_code
        self.swr_message = swr_message
        self.request_id = request_id
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def of_swr(self) -> dict[str, Any]:
        """SWR's own code, words and request id, as arguments for an error that says the same in other terms."""
        return {"swr_code": self.swr_code, "swr_message": self.swr_message, "request_id": self.request_id}


class InvalidRequest(AdapterError):
    """The caller's request is malformed; SWR was not asked."""

    status = 400
    code = "UNSUPPORTED"


class NameInvalid(InvalidRequest):
    """A repository or organization name breaks the rules."""

    code = "NAME_INVALID"


class TagInvalid(InvalidRequest):
    """A tag breaks the rules."""

    code = "TAG_INVALID"


class DigestInvalid(InvalidRequest):
    """A digest is malformed, or the content does not hash to it."""

    code = "DIGEST_INVALID"


class SizeInvalid(InvalidRequest):
    """Fewer or more bytes came than were announced."""

    code = "SIZE_INVALID"


class ManifestInvalid(InvalidRequest):
    """A manifest is no JSON object, too big, or SWR cannot parse it."""

    code = "MANIFEST_INVALID"


class TypeRefused(ManifestInvalid):
    """SWR refused a manifest for its type (`docs/facts/swr.md §6`)."""


class UploadInvalid(InvalidRequest):
    """An upload request does not fit the state of its upload."""

    code = "BLOB_UPLOAD_INVALID"


class CredentialsError(AdapterError):
    """The credentials are missing, malformed or refused."""

    status = 401
    code = "UNAUTHORIZED"


class NothingEntered(CredentialsError):
    """Neither Access ID nor Access Secret was entered."""


class AccessIdMalformed(CredentialsError):
    """The Access ID is not `<regional project name>@<AK>`, or the secret is missing."""


class RegionUnknown(CredentialsError):
    """The project of the Access ID lies in no region of the table."""


class CredentialsRefused(CredentialsError):
    """SWR refused the credentials."""


class ClockWrong(CredentialsError):
    """The gateway refused a signature for its time."""


class Denied(AdapterError):
    """The credentials are right, but do not allow this."""

    status = 403
    code = "DENIED"


class AccountBlocked(Denied):
    """SWR, or OTC's gateway, has locked the account for a while."""


class OrganizationQuota(Denied):
    """SWR allows no further organization."""


class OrganizationTaken(Denied):
    """The organization's name belongs to another account; names are unique in a region."""


class OrganizationReserved(Denied):
    """SWR keeps this organization name for itself."""


class CreationRefused(Denied):
    """A missing organization may not, or cannot, be created here."""


class DeletionRefused(Denied):
    """SWR does not delete this, or not with these credentials, or more would go than was asked for."""


class NotFound(AdapterError):
    """Something does not exist."""

    status = 404
    code = "NAME_UNKNOWN"


class OrganizationUnknown(NotFound):
    """SWR says that the organization does not exist; before a push also: it cannot be seen, so it is created."""


class RepositoryUnknown(NotFound):
    """The repository does not exist."""


class BlobUnknown(NotFound):
    """The repository holds no such blob."""

    code = "BLOB_UNKNOWN"


class ManifestUnknown(NotFound):
    """The repository holds no such manifest."""

    code = "MANIFEST_UNKNOWN"


class UploadUnknown(NotFound):
    """The upload is not known, has ended, or is another account's."""

    code = "BLOB_UPLOAD_UNKNOWN"


class RouteUnknown(NotFound):
    """No such path in the contract."""

    code = "UNSUPPORTED"


class MethodUnsupported(AdapterError):
    """The path exists, the method does not."""

    status = 405
    code = "UNSUPPORTED"


class OrganizationExists(AdapterError):
    """The organization is there already and may be used."""

    status = 409
    code = "CONFLICT"


class UploadBusy(AdapterError):
    """Another request is writing to the upload."""

    status = 409
    code = "BLOB_UPLOAD_INVALID"


class TooLarge(AdapterError):
    """The content is larger than SWR takes."""

    status = 413
    code = "SIZE_INVALID"


class RangeInvalid(AdapterError):
    """A chunk does not start where the upload stands."""

    status = 416
    code = "RANGE_INVALID"


class Throttled(AdapterError):
    """SWR, or the request budget, asks to slow down."""

    status = 429
    code = "TOOMANYREQUESTS"


class InternalError(AdapterError):
    """A defect of the adapter; the log has the details under the request id."""


class Busy(AdapterError):
    """The adapter has as many transfers, requests, or documents in memory as it takes."""

    status = 503
    code = "TOOMANYREQUESTS"


class UpstreamError(AdapterError):
    """SWR could not be asked, or its answer is of no use."""

    status = 502


class Unreachable(UpstreamError):
    """No connection to SWR, or it broke."""


class CertificateUntrusted(UpstreamError):
    """SWR's certificate does not verify against the CA bundle in use."""


class Unexpected(UpstreamError):
    """SWR's answer makes no sense."""


class Unavailable(UpstreamError):
    """SWR answered 5xx, or a list of it changed each time it was read, or ended before its total."""

    status = 503


class TimedOut(UpstreamError):
    """SWR did not answer in time."""

    status = 503
