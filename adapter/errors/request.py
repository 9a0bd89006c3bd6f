"""Errors of a request that cannot be carried out as it was sent, whatever its credentials."""

from adapter.errors.base import AdapterError


class InvalidRequest(AdapterError):
    """The request is malformed, or SWR rejects it with a reason of its own."""

    id = "invalid-request"
    status = 400
    code = "UNSUPPORTED"


class NameInvalid(InvalidRequest):
    """The name of a repository or an organization breaks the rules."""

    id = "name-invalid"
    code = "NAME_INVALID"


class TagInvalid(InvalidRequest):
    """The tag breaks the rules."""

    id = "tag-invalid"
    code = "TAG_INVALID"


class DigestInvalid(InvalidRequest):
    """The digest is malformed, or the content has another digest."""

    id = "digest-invalid"
    code = "DIGEST_INVALID"


class SizeInvalid(InvalidRequest):
    """The body is shorter or longer than announced."""

    id = "size-invalid"
    code = "SIZE_INVALID"


class ManifestInvalid(InvalidRequest):
    """The manifest is not a JSON object, is too large, or SWR cannot parse it."""

    id = "manifest-invalid"
    code = "MANIFEST_INVALID"


class TypeRefused(ManifestInvalid):
    """SWR rejects the media type of a manifest (`docs/facts/swr.md §6`)."""

    id = "type-refused"


class UploadInvalid(InvalidRequest):
    """The request does not fit the state of its upload."""

    id = "upload-invalid"
    code = "BLOB_UPLOAD_INVALID"


class MethodUnsupported(AdapterError):
    """The path exists, but not with this method."""

    id = "method-unsupported"
    status = 405
    code = "UNSUPPORTED"


class OrganizationExists(AdapterError):
    """The organization exists already and may be used."""

    id = "organization-exists"
    status = 409
    code = "CONFLICT"


class UploadBusy(AdapterError):
    """Another request writes to the upload."""

    id = "upload-busy"
    status = 409
    code = "BLOB_UPLOAD_INVALID"


class TooLarge(AdapterError):
    """The content is larger than SWR accepts."""

    id = "too-large"
    status = 413
    code = "SIZE_INVALID"


class RangeInvalid(AdapterError):
    """The chunk does not start at the offset of the upload."""

    id = "range-invalid"
    status = 416
    code = "RANGE_INVALID"
