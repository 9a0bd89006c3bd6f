"""Errors of SWR, of the connection to SWR, and of the adapter itself."""

from adapter.errors.base import AdapterError


class Throttled(AdapterError):
    """SWR or the rate limit of the adapter rejects further requests for a while."""

    id = "throttled"
    status = 429
    code = "TOOMANYREQUESTS"


class InternalError(AdapterError):
    """The adapter has a defect; its log has the details under the request ID."""

    id = "internal-error"


class Busy(AdapterError):
    """The adapter has no free slot for a transfer or request, or no memory for a document."""

    id = "busy"
    status = 503
    code = "TOOMANYREQUESTS"


class UpstreamError(AdapterError):
    """SWR cannot be reached, or its response cannot be used."""

    id = "upstream-error"
    status = 502


class Unreachable(UpstreamError):
    """The connection to SWR failed or broke."""

    id = "unreachable"


class CertificateUntrusted(UpstreamError):
    """The certificate of SWR cannot be verified with the trusted CAs."""

    id = "certificate-untrusted"


class Unexpected(UpstreamError):
    """The response of SWR is invalid."""

    id = "unexpected"


class Unavailable(UpstreamError):
    """SWR responded with 5xx, or a list changed each time it was read, or ended before its total."""

    id = "unavailable"
    status = 503


class TimedOut(UpstreamError):
    """SWR did not respond in time."""

    id = "timed-out"
    status = 503
