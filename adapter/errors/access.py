"""Errors of credentials and permissions."""

from adapter.errors.base import AdapterError


class CredentialsError(AdapterError):
    """The credentials are missing, malformed or rejected."""

    id = "credentials-error"
    status = 401
    code = "UNAUTHORIZED"


class NothingEntered(CredentialsError):
    """Neither Access ID nor Access Secret was entered."""

    id = "nothing-entered"


class AccessIdMalformed(CredentialsError):
    """The Access ID is not `<regional project name>@<AK>`, or the secret is missing."""

    id = "access-id-malformed"


class RegionUnknown(CredentialsError):
    """The region of the project in the Access ID is unknown."""

    id = "region-unknown"


class CredentialsRefused(CredentialsError):
    """SWR rejects the credentials."""

    id = "credentials-refused"


class ClockWrong(CredentialsError):
    """The API gateway of OTC rejects a signature because of its time."""

    id = "clock-wrong"


class Denied(AdapterError):
    """The credentials are valid, but do not permit this."""

    id = "denied"
    status = 403
    code = "DENIED"


class AccountBlocked(Denied):
    """SWR, or the API gateway of OTC, has locked the access key or the tenant for some minutes."""

    id = "account-blocked"


class OrganizationQuota(Denied):
    """SWR permits no further organization."""

    id = "organization-quota"


class OrganizationTaken(Denied):
    """Another tenant owns the organization name; names are unique in a region."""

    id = "organization-taken"


class OrganizationReserved(Denied):
    """SWR reserves the organization name."""

    id = "organization-reserved"


class CreationRefused(Denied):
    """The creation of a missing organization is switched off, or impossible with these credentials."""

    id = "creation-refused"


class DeletionRefused(Denied):
    """SWR does not delete this, or not with these credentials, or would delete more than requested."""

    id = "deletion-refused"
