"""Errors of the network between the adapter and SWR, with the host and what to check."""

from __future__ import annotations

import re
import ssl
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationValueError, SSLError

from adapter.errors import AdapterError, CertificateUntrusted, TimedOut, Unexpected, Unreachable
from adapter.http.strict_response import InvalidHeader
from adapter.http.upstream_connections import LocalAddress, PrematureSuccess

LOCAL_REDIRECT: Final = (
    "SWR redirected a blob download to {host}, a loopback or link-local address: if the object store is there, add the "
    "host to `objects` of the region in SWR_ADAPTER_REGIONS"
)


_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_PROXY_CREDENTIALS: Final = (
    "the proxy requires other credentials for {host} (407): set user name and password in SWR_ADAPTER_PROXY, or in "
    "HTTPS_PROXY"
)


def invalid_response_error(response: requests.Response) -> AdapterError | None:
    """The error for a response that SWR cannot have sent, None for all others. The body is not read."""
    parts = urlsplit(str(response.url))
    if response.status_code == requests.codes.proxy_authentication_required:
        return Unexpected(_PROXY_CREDENTIALS.format(host=parts.hostname))
    if response.status_code == requests.codes.partial_content and "Range" not in response.request.headers:
        return Unexpected(
            f"{parts.hostname} returned a part of what was requested as a whole: check for a proxy between the adapter "
            "and SWR"
        )
    return None


def network_error_for(error: Exception, host: str, connect: float, answer: float, *, sent: bool) -> AdapterError:
    """The error to raise, with the host and what to check, never with the whole URL.

    `connect` and `answer` are the timeouts in seconds; `sent`: whether the request's head was sent. `Unexpected` and
    `CertificateUntrusted` are not worth a retry.
    """
    known = _permanent_error(error, host)
    if known is not None:
        return known
    if isinstance(error, requests.exceptions.SSLError | SSLError):
        return Unreachable(f"TLS handshake with {host} failed: check for a proxy that intercepts TLS")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return TimedOut(f"no connection to {host} within {connect:.2g} s: check network, firewall and proxy")
    if isinstance(error, requests.exceptions.Timeout) and not sent:
        # During the TLS handshake, or at a proxy that accepts connections and does not answer.
        return TimedOut(f"no TLS connection to {host} within {connect:.2g} s: check network, firewall and proxy")
    if isinstance(error, requests.exceptions.Timeout):
        return TimedOut(f"{host} did not answer within {answer:.3g} s: try again later")
    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy_error(error, host)
    reason = type(_cause(error, OSError) or error).__name__
    words = {"gaierror": "its name cannot be resolved", "ConnectionRefusedError": "connection refused"}
    return Unreachable(f"{host} cannot be reached: {words.get(reason, 'connection lost')}")


def _permanent_error(error: Exception, host: str) -> AdapterError | None:
    """The error for a failure that a retry would only repeat."""
    verify = _cause(error, ssl.SSLCertVerificationError)
    if verify is not None:
        reason = getattr(verify, "verify_message", "") or "verification failed"
        return CertificateUntrusted(
            f"cannot verify the certificate of {host} ({reason}): if a proxy intercepts TLS, add its CA to the file "
            "in SWR_ADAPTER_CA_BUNDLE"
        )
    if _cause(error, PrematureSuccess) is not None:
        return Unexpected(f"{host} reported success before the whole body was sent: report this")
    invalid = _cause(error, InvalidHeader)
    if isinstance(invalid, InvalidHeader):
        return Unexpected(
            f"{host} returned an invalid {invalid.field} header: check for a proxy between the adapter and SWR"
        )
    if _cause(error, LocalAddress) is not None:
        return Unexpected(LOCAL_REDIRECT.format(host=host))
    if isinstance(error, requests.exceptions.InvalidURL | LocationValueError):
        return Unexpected(f"invalid host name '{host}': check SWR_ADAPTER_REGIONS")
    return None


def _proxy_error(error: Exception, host: str) -> AdapterError:
    """The error for a proxy's response to CONNECT, if there was one. A 5xx may be transient."""
    found = _TUNNEL.search(str(_cause(error, OSError) or ""))
    status = int(found[1]) if found else 0
    if status == requests.codes.proxy_authentication_required:
        return Unexpected(_PROXY_CREDENTIALS.format(host=host))
    if 400 <= status < 500:
        return Unexpected(f"the proxy denies a connection to {host} ({status}): allow the host in the proxy's rules")
    return Unreachable(
        f"the proxy did not connect to {host}: check SWR_ADAPTER_PROXY (or HTTPS_PROXY) and the proxy's rules"
    )


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first exception of a kind in the chain of causes, including urllib3's `reason`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, kind) and not isinstance(error, requests.RequestException):
            return error
        inner = [part for part in error.args if isinstance(part, BaseException)]
        error = getattr(error, "reason", None) or (inner[0] if inner else None) or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return None
    return None
