"""What can go wrong between the adapter and SWR, in sentences that name the host and what to check."""

from __future__ import annotations

import re
import ssl
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationValueError, SSLError

from adapter.errors import AdapterError, CertificateUntrusted, TimedOut, Unexpected, Unreachable
from adapter.http.connections import EarlySuccess
from adapter.http.outgoing import LocalAddress
from adapter.http.responses import InvalidHeader

LOCAL_REDIRECT: Final = (
    "SWR redirects a blob to {host}, an address of this machine or its link: if the object store is there, add the "
    "host to `objects` of the region in SWR_ADAPTER_REGIONS"
)


_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_PROXY_CREDENTIALS: Final = (
    "the proxy requires other credentials for {host} (407): set user name and password in SWR_ADAPTER_PROXY, or in "
    "HTTPS_PROXY"
)


def wrong_answer(response: requests.Response) -> AdapterError | None:
    """What to raise for an answer that cannot be SWR's, None for all others; nothing of its body is read."""
    parts = urlsplit(str(response.url))
    if response.status_code == requests.codes.proxy_authentication_required:
        return Unexpected(_PROXY_CREDENTIALS.format(host=parts.hostname))
    if response.status_code == requests.codes.partial_content and "Range" not in response.request.headers:
        return Unexpected(
            f"{parts.hostname} returned a part of what was requested as a whole: check for a proxy between the adapter "
            "and SWR"
        )
    return None


def failure_of(error: Exception, host: str, connect: float, answer: float, *, sent: bool) -> AdapterError:
    """What went wrong, in words that name the host and what to check, never the address in full.

    `connect` and `answer` are the seconds that there were; `sent`: whether the request's head went out. Neither
    `Unexpected` nor `CertificateUntrusted` gets better when the request is sent again.
    """
    known = _unusable(error, host)
    if known is not None:
        return known
    if isinstance(error, requests.exceptions.SSLError | SSLError):
        return Unreachable(f"TLS with {host} failed")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return TimedOut(f"no connection to {host} within {connect:.2g} s: check network, firewall and proxy")
    if isinstance(error, requests.exceptions.Timeout) and not sent:
        # The handshake, or a proxy that accepts a connection and says nothing.
        return TimedOut(f"no TLS connection to {host} within {connect:.2g} s: check network, firewall and proxy")
    if isinstance(error, requests.exceptions.Timeout):
        return TimedOut(f"{host} did not answer within {answer:.3g} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return _of_proxy(error, host)
    reason = type(_cause(error, OSError) or error).__name__
    words = {"gaierror": "its name cannot be resolved", "ConnectionRefusedError": "it refuses the connection"}
    return Unreachable(f"{host} cannot be reached: {words.get(reason, 'the connection broke')}")


def _unusable(error: Exception, host: str) -> AdapterError | None:
    """What would end in the same way if the request was sent again."""
    verify = _cause(error, ssl.SSLCertVerificationError)
    if verify is not None:
        reason = getattr(verify, "verify_message", "") or "verification failed"
        return CertificateUntrusted(
            f"the certificate of {host} is not trusted ({reason}): if a proxy intercepts TLS, put its CA into the "
            "file that SWR_ADAPTER_CA_BUNDLE names"
        )
    if _cause(error, EarlySuccess) is not None:
        return Unexpected(f"{host} accepted something before all of it was sent: it is not trusted")
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


def _of_proxy(error: Exception, host: str) -> AdapterError:
    """What the proxy answers to CONNECT, where it answers; its 5xx may pass."""
    found = _TUNNEL.search(str(_cause(error, OSError) or ""))
    status = int(found[1]) if found else 0
    if status == requests.codes.proxy_authentication_required:
        return Unexpected(_PROXY_CREDENTIALS.format(host=host))
    if 400 <= status < 500:
        return Unexpected(f"the proxy denies a connection to {host} ({status}): allow the host in the proxy's rules")
    return Unreachable(f"the proxy gives no connection to {host}: check the proxy's address and its rules")


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first exception of a kind in the chain of causes, urllib3's `reason` included."""
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
