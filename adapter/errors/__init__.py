"""One exception tree for every error that reaches a caller or a log line.

    AdapterError
    ├── InvalidRequest             400  malformed request
    │   ├── NameInvalid
    │   ├── TagInvalid
    │   ├── DigestInvalid
    │   ├── SizeInvalid
    │   ├── ManifestInvalid
    │   │   └── TypeRefused             SWR rejects this media type
    │   └── UploadInvalid
    ├── MethodUnsupported          405
    ├── OrganizationExists         409
    ├── UploadBusy                 409  another request writes to this upload
    ├── TooLarge                   413
    ├── RangeInvalid               416
    ├── CredentialsError           401
    │   ├── NothingEntered
    │   ├── AccessIdMalformed
    │   ├── RegionUnknown
    │   ├── CredentialsRefused          rejected by SWR
    │   └── ClockWrong                  signature with a wrong time
    ├── Denied                     403
    │   ├── AccountBlocked              locked for some minutes by SWR or the API gateway of OTC
    │   ├── OrganizationQuota
    │   ├── OrganizationTaken           owned by another tenant
    │   ├── OrganizationReserved
    │   ├── CreationRefused             switched off, or impossible with these credentials
    │   └── DeletionRefused             not supported by SWR, or not with these credentials
    ├── NotFound                   404
    │   ├── OrganizationUnknown
    │   ├── RepositoryUnknown
    │   ├── BlobUnknown
    │   ├── ManifestUnknown
    │   ├── UploadUnknown
    │   └── RouteUnknown
    ├── Throttled                  429
    ├── InternalError              500
    ├── Busy                       503  no free slot or memory in the adapter
    └── UpstreamError              502
        ├── Unreachable            502
        ├── CertificateUntrusted   502
        ├── Unexpected             502  invalid response
        ├── Unavailable            503  5xx response
        └── TimedOut               503

`status` is the HTTP status of the response, `code` the error code of the OCI distribution spec
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes), and `id` a name that never changes:
the anchor in docs/errors.md. The text of an error is one sentence that says what happened and what to do. Harbor prints
it in its task log.
"""

from adapter.errors.access import (
    AccessIdMalformed,
    AccountBlocked,
    ClockWrong,
    CreationRefused,
    CredentialsError,
    CredentialsRefused,
    DeletionRefused,
    Denied,
    NothingEntered,
    OrganizationQuota,
    OrganizationReserved,
    OrganizationTaken,
    RegionUnknown,
)
from adapter.errors.base import AdapterError
from adapter.errors.not_found import (
    BlobUnknown,
    ManifestUnknown,
    NotFound,
    OrganizationUnknown,
    RepositoryUnknown,
    RouteUnknown,
    UploadUnknown,
)
from adapter.errors.request import (
    DigestInvalid,
    InvalidRequest,
    ManifestInvalid,
    MethodUnsupported,
    NameInvalid,
    OrganizationExists,
    RangeInvalid,
    SizeInvalid,
    TagInvalid,
    TooLarge,
    TypeRefused,
    UploadBusy,
    UploadInvalid,
)
from adapter.errors.upstream import (
    Busy,
    CertificateUntrusted,
    InternalError,
    Throttled,
    TimedOut,
    Unavailable,
    Unexpected,
    Unreachable,
    UpstreamError,
)

__all__ = [
    "AccessIdMalformed",
    "AccountBlocked",
    "AdapterError",
    "BlobUnknown",
    "Busy",
    "CertificateUntrusted",
    "ClockWrong",
    "CreationRefused",
    "CredentialsError",
    "CredentialsRefused",
    "DeletionRefused",
    "Denied",
    "DigestInvalid",
    "InternalError",
    "InvalidRequest",
    "ManifestInvalid",
    "ManifestUnknown",
    "MethodUnsupported",
    "NameInvalid",
    "NotFound",
    "NothingEntered",
    "OrganizationExists",
    "OrganizationQuota",
    "OrganizationReserved",
    "OrganizationTaken",
    "OrganizationUnknown",
    "RangeInvalid",
    "RegionUnknown",
    "RepositoryUnknown",
    "RouteUnknown",
    "SizeInvalid",
    "TagInvalid",
    "Throttled",
    "TimedOut",
    "TooLarge",
    "TypeRefused",
    "Unavailable",
    "Unexpected",
    "Unreachable",
    "UploadBusy",
    "UploadInvalid",
    "UploadUnknown",
    "UpstreamError",
]
