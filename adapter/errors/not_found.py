"""Errors of something that does not exist."""

from adapter.errors.base import AdapterError


class NotFound(AdapterError):
    """Something does not exist."""

    id = "not-found"
    status = 404
    code = "NAME_UNKNOWN"


class OrganizationUnknown(NotFound):
    """The organization does not exist, or, before a push, is not visible; then it is created."""

    id = "organization-unknown"


class RepositoryUnknown(NotFound):
    """The repository does not exist."""

    id = "repository-unknown"


class BlobUnknown(NotFound):
    """The repository has no such blob."""

    id = "blob-unknown"
    code = "BLOB_UNKNOWN"


class ManifestUnknown(NotFound):
    """The repository has no such manifest."""

    id = "manifest-unknown"
    code = "MANIFEST_UNKNOWN"


class UploadUnknown(NotFound):
    """The upload does not exist, has ended, or belongs to other credentials."""

    id = "upload-unknown"
    code = "BLOB_UPLOAD_UNKNOWN"


class RouteUnknown(NotFound):
    """The path is not part of the API that Harbor uses."""

    id = "route-unknown"
    code = "UNSUPPORTED"
