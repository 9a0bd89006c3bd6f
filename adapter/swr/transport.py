"""The one engine that every request to SWR goes through: budget, retries, timeouts, and errors as exceptions.

It answers with the response whatever its status; only a request that got no answer raises. Nothing that is secret
is logged: a line names method, host, path and status.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter as BaseAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from adapter import __version__
from adapter.documents import WAIT_SECONDS, hold
from adapter.errors import AdapterError, CertificateUntrusted, InvalidRequest, TimedOut, Unexpected, Unreachable
from adapter.http import request_context
from adapter.http.outgoing import Outgoing, sending
from adapter.http.pools import Adapter, proxies_for
from adapter.http.request_context import cancel_on_disconnect, interruptible_sleep
from adapter.settings import SPARE_THREADS, Settings
from adapter.state import Link
from adapter.swr.circuit_breaker import CircuitBreaker
from adapter.swr.errors import ErrorResponse, parse_error_response
from adapter.swr.failures import failure_of, wrong_answer
from adapter.swr.rate_limit import RateLimit
from adapter.swr.retry import IDEMPOTENT, RetryPolicy, backoff, policy_of, retry_after
from adapter.swr.tenants import Tenants

log = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 10.0
_MIN_CONNECT_SECONDS: Final = 0.1
_MIN_TRIED_SECONDS: Final = 1.0
"""For which a host must have been out of reach before others are told so: one connection may fail for any reason."""
_SERVER_ERROR: Final = 500
_MAY_PASS: Final = frozenset({403, 409})
"""What SWR answers for good as a rule, and sometimes only for now."""
LARGEST_DOCUMENT: Final = 8 << 20
"""Bytes of a JSON document or manifest that are read at most."""
DOCUMENT_TIMEOUT: Final = 120.0
"""Seconds for a whole document, however steadily it trickles."""
REMAINDER_TIMEOUT: Final = 5.0
"""Seconds for the body of an answer when its status has said all that counts."""
LARGEST_ERROR: Final = 64 << 10

_OWN_HEADERS: Final = {"User-Agent": f"harbor-swr-adapter/{__version__}", "Accept-Encoding": "identity"}

Signer = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class Transport:
    """Sends requests to SWR and its object store; shared by all threads. `link` leads to what replicas share, and
    `adapter` sends single requests in place of connections to SWR."""

    def __init__(self, settings: Settings, link: Link | None = None, adapter: BaseAdapter | None = None) -> None:
        self._adapter = adapter or Adapter(settings.ca_bundle, pool=settings.threads + SPARE_THREADS)
        self._proxy = settings.proxy
        self._rate_limit = RateLimit(settings.requests_per_second, link, Tenants(settings.tenants))
        self._breaker = CircuitBreaker()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self._adapter.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        account: str | None,
        credential: str = "",
        body: bytes | Iterable[Any] = b"",
        signer: Signer | None = None,
        policy: RetryPolicy = IDEMPOTENT,
        local_allowed: bool = True,
    ) -> requests.Response:
        """One exchange; the response's body is not read yet and must be read or closed.

        `account` is whose budget is charged, None for the object store, which has none. `credential` is the fingerprint
        of whom the 5xx of a host are remembered for (`CircuitBreaker`). `signer` is asked anew each time. Without
        `local_allowed` nothing is sent to an address of this machine or its link: for addresses that somebody else
        chose. Raises `Unreachable`, `TimedOut`, `CertificateUntrusted`, `Unexpected` or `Throttled`, `InvalidRequest`
        for headers that cannot be sent, and what `raise_if_disconnected` does.
        """
        _check_headers(headers)
        policy = policy_of(policy)
        request = requests.Request(method, url, headers={**headers, **_OWN_HEADERS}, data=body)
        with cancel_on_disconnect(policy.cancel_on_disconnect):
            return self._exchange(request, account, credential, signer, policy, local_allowed=local_allowed)

    def _exchange(
        self,
        request: requests.Request,
        account: str | None,
        credential: str,
        signer: Signer | None,
        policy: RetryPolicy,
        *,
        local_allowed: bool,
    ) -> requests.Response:
        host = urlsplit(str(request.url)).netloc
        self._refuse_unreachable(host, policy)
        until = min(time.monotonic() + policy.total, policy.deadline or float("inf"))
        attempt, queued = 0, 0.0
        away_since: float | None = None
        while True:
            if account is not None and policy.budgeted:
                # SWR has no part in the time that a request waits here for its turn.
                before = time.monotonic()
                self._rate_limit.take(account, policy.queue - queued)
                waited = time.monotonic() - before
                queued, until = queued + waited, until + waited
                away_since = None if away_since is None else away_since + waited
            away_since = time.monotonic() if away_since is None else away_since
            reach_until = away_since + (policy.connect or float("inf"))
            # A policy that repeats cuts its last attempt, so that its total holds.
            limit = policy.within(until - time.monotonic()) if policy.total else policy
            outgoing = Outgoing(local_allowed, lambda: self._breaker.reached(host))
            outcome = self._attempt(request, signer, limit, outgoing, reach_until)
            wait = self._wait_after(outcome, attempt, policy)
            last = until if outgoing.sent else min(until, reach_until)
            if wait is None or time.monotonic() + wait > last:
                break
            if self._is_known_bad(host, credential, outcome, policy):
                break
            if isinstance(outcome, requests.Response):
                settle(outcome)
            log.info("%s %s: trying again in %.1f s", request.method, host, wait)
            interruptible_sleep(wait)
            attempt += 1
            away_since = None if outgoing.sent else away_since
        self._learn(host, credential, outcome, policy, None if outgoing.sent else away_since)
        if isinstance(outcome, AdapterError):
            raise outcome
        return outcome

    def _refuse_unreachable(self, host: str, policy: RetryPolicy) -> None:
        if policy.connect is not None and (refusal := self._breaker.refusal(host)) is not None:
            raise refusal

    def _learn(
        self,
        host: str,
        credential: str,
        outcome: requests.Response | AdapterError,
        policy: RetryPolicy,
        away_since: float | None,
    ) -> None:
        """What the end of an exchange tells others. `away_since`: when the host was first out of reach, if it was to
        the end."""
        if isinstance(outcome, requests.Response):
            if outcome.status_code < _SERVER_ERROR:
                self._breaker.answered(host, credential)
            elif policy.connect is not None and outcome.status_code in policy.statuses:
                self._breaker.failed(host, credential)
        elif away_since is None or time.monotonic() - away_since < _MIN_TRIED_SECONDS:
            return
        elif isinstance(outcome, Unreachable | TimedOut):
            self._breaker.unreached(host, outcome, away_since)

    def _is_known_bad(
        self, host: str, credential: str, outcome: requests.Response | AdapterError, policy: RetryPolicy
    ) -> bool:
        """Whether one try is enough of a host that has answered nothing but 5xx for some time."""
        answered = isinstance(outcome, requests.Response) and outcome.status_code >= _SERVER_ERROR
        return answered and policy.connect is not None and self._breaker.is_unavailable(host, credential)

    def _attempt(
        self,
        request: requests.Request,
        signer: Signer | None,
        policy: RetryPolicy,
        outgoing: Outgoing,
        reach_until: float,
    ) -> requests.Response | AdapterError:
        """The response, or the error to raise when there is to be no further attempt."""
        url = str(request.url)
        parts = urlsplit(url)
        started = time.monotonic()
        connect = max(_MIN_CONNECT_SECONDS, min(CONNECT_TIMEOUT, policy.answer, reach_until - started))
        request_id = None
        try:
            prepared = request.prepare()
            if signer is not None:
                prepared = signer(prepared)
            with sending(outgoing):
                response = self._adapter.send(
                    prepared,
                    stream=True,
                    timeout=(connect, policy.answer),
                    proxies=dict(proxies_for(url, self._proxy)),
                )
            request_id = response.headers.get("X-Request-Id")
            if (wrong := wrong_answer(response)) is not None:
                response.close()
                return wrong
        except (requests.RequestException, HTTPError) as error:
            failure = failure_of(error, parts.hostname or "", connect, policy.answer, sent=outgoing.sent)
            log.info("%s %s: %s", request.method, parts.hostname, type(failure).__name__)
            return failure
        finally:
            # Also when the body that was sent ended in an error of our own: SWR has got the request.
            if outgoing.sent:
                self._note(request_id)
        took = (time.monotonic() - started) * 1000
        log.debug("%s %s -> %d in %.0f ms", request.method, parts.hostname, response.status_code, took)
        return response

    @staticmethod
    def _note(request_id: str | None) -> None:
        if (current := request_context.current_request.get()) is not None:
            current.note(request_id)

    @staticmethod
    def _wait_after(outcome: requests.Response | AdapterError, attempt: int, policy: RetryPolicy) -> float | None:
        """Seconds until the next attempt, or None when the outcome stands."""
        if isinstance(outcome, AdapterError):
            repeat = policy.broken and not isinstance(outcome, CertificateUntrusted | Unexpected)
            return backoff(attempt, None) if repeat else None
        throttled = requests.codes.too_many in policy.statuses and is_passing(outcome)
        if outcome.status_code not in policy.statuses and not throttled:
            return None
        return backoff(attempt, retry_after(outcome.headers.get("Retry-After"), time.time()))


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises `InvalidRequest` for a value that HTTP does not allow: some come from callers, and are passed on."""
    for name, value in headers.items():
        if not value.isascii() or not value.replace("\t", " ").isprintable() or value != value.strip():
            raise InvalidRequest(f"the {name} header has characters that HTTP does not allow: send printable ASCII")


def read_document(response: requests.Response, limit: int = LARGEST_DOCUMENT, deadline: float | None = None) -> bytes:
    """The whole body, at most `limit` bytes, until the monotonic moment `deadline`, or within `DOCUMENT_TIMEOUT`.

    Raises `Unexpected` when there is more, `Unreachable` when there is less than announced, `TimedOut`, `Busy` when
    the process holds too many documents.
    """
    host = urlsplit(str(response.url)).hostname
    latest = time.monotonic() + DOCUMENT_TIMEOUT
    deadline = latest if deadline is None else min(deadline, latest)
    try:
        data = bytearray()
        # As it comes, so that neither a trickle outlives the deadline nor a large document comes whole.
        while block := response.raw.read1(1 << 16, decode_content=False):
            data += block
            if len(data) > limit:
                raise Unexpected(f"{host} sends a document of more than {limit} bytes")
            hold(len(block), WAIT_SECONDS)
            if time.monotonic() > deadline:
                raise TimedOut(f"{host} does not come to the end of its answer")
    except (HTTPError, OSError) as error:
        raise Unreachable(f"the answer of {host} broke off") from error
    finally:
        response.close()
    return bytes(data)


def _read_remainder(response: requests.Response) -> bytes:
    """A short body whose status has said all that counts, within `REMAINDER_TIMEOUT`. Raises as `read_document`."""
    sock = getattr(response.raw.connection, "sock", None)
    if sock is not None:
        sock.settimeout(REMAINDER_TIMEOUT)
    return read_document(response, LARGEST_ERROR, time.monotonic() + REMAINDER_TIMEOUT)


def settle(response: requests.Response) -> None:
    """Reads what little is left and gives the connection back; closing an unread answer would close the connection.

    What does not come soon is not waited for: nothing depends on it.
    """
    with contextlib.suppress(AdapterError):
        _read_remainder(response)


def error_body(response: requests.Response) -> bytes:
    """The body of an answer that is not 2xx, as far as it comes, and empty where it is too large; it is closed."""
    try:
        return _read_remainder(response)
    except AdapterError:
        return b""


def reread_body(response: requests.Response) -> bytes:
    """As `error_body`; the body can be read again from the response by whoever wants it."""
    body = error_body(response)
    response.raw = HTTPResponse(io.BytesIO(body), headers=response.headers, preload_content=False)
    return body


def is_passing(response: requests.Response) -> bool:
    """Whether SWR's code in the body says that the same request may be accepted a little later, whatever the status.

    A body that may tell is read, and can be read again.
    """
    if response.status_code not in _MAY_PASS:
        return False
    return parse_error_response(response.status_code, reread_body(response), response.headers).passing


def error_response_of(response: requests.Response) -> ErrorResponse:
    """An answer that is not 2xx, read as far as it comes, and closed."""
    body = error_body(response)
    wait = retry_after(response.headers.get("Retry-After"), time.time())
    return parse_error_response(response.status_code, body, response.headers, wait)
