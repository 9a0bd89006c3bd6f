"""Sends every request to SWR: rate limit, retries, timeouts, and network errors as exceptions.

It returns the response whatever its status; only a request without a response raises. It logs no secret: a line has
method, host and status.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter as BaseAdapter
from urllib3.exceptions import HTTPError

from adapter import __version__
from adapter.errors import AdapterError, CertificateUntrusted, InvalidRequest, TimedOut, Unexpected, Unreachable
from adapter.http import request_context
from adapter.http.client_disconnect import cancel_on_disconnect, interruptible_sleep
from adapter.http.pools import PooledAdapter, proxies_for
from adapter.http.upstream_connections import OutgoingRequest, sending
from adapter.settings import SPARE_THREADS, Settings
from adapter.state import RedisClient
from adapter.swr.circuit_breaker import CircuitBreaker
from adapter.swr.network_errors import invalid_response_error, network_error_for
from adapter.swr.rate_limit import RateLimit
from adapter.swr.response_body import is_transient, settle
from adapter.swr.retry import IDEMPOTENT, RetryPolicy, backoff, policy_of, retry_after
from adapter.swr.tenants import Tenants

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 10.0
_MIN_CONNECT_SECONDS: Final = 0.1
_MIN_UNREACHABLE_SECONDS: Final = 1.0
"""Duration of failed attempts after which a host counts as unreachable for other requests too."""
_SERVER_ERROR: Final = 500
_OWN_HEADERS: Final = {"User-Agent": f"harbor-swr-adapter/{__version__}", "Accept-Encoding": "identity"}

Signer = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class Transport:
    """Sends requests to SWR and its object store; shared by all threads.

    `redis` holds the rate limit that replicas share. `adapter` sends single requests in place of connections to SWR.
    """

    def __init__(
        self, settings: Settings, redis: RedisClient | None = None, adapter: BaseAdapter | None = None
    ) -> None:
        self._adapter = adapter or PooledAdapter(settings.ca_bundle, pool=settings.threads + SPARE_THREADS)
        self._proxy = settings.proxy
        self._rate_limit = RateLimit(settings.requests_per_second, redis, Tenants(settings.tenants))
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
        access_key: str | None,
        credential: str = "",
        body: bytes | Iterable[Any] = b"",
        signer: Signer | None = None,
        policy: RetryPolicy = IDEMPOTENT,
        local_allowed: bool = True,
    ) -> requests.Response:
        """Sends one request, with retries; the body of the response is unread and must be read or closed.

        `access_key`, as `<region>/<AK>`, determines the rate limit; None for the object store, which has none.
        `credential` is the fingerprint for which `CircuitBreaker` notes the 5xx of a host. `signer` signs each attempt.
        Without `local_allowed`, nothing is sent to a loopback or link-local address: for URLs that SWR returned. Raises
        `Unreachable`, `TimedOut`, `CertificateUntrusted`, `Unexpected`, `Throttled`, `InvalidRequest` for invalid
        headers, and as `raise_if_disconnected` does.
        """
        _check_headers(headers)
        policy = policy_of(policy)
        request = requests.Request(method, url, headers={**headers, **_OWN_HEADERS}, data=body)
        with cancel_on_disconnect(policy.cancel_on_disconnect):
            return self._exchange(request, access_key, credential, signer, policy, local_allowed=local_allowed)

    def _exchange(
        self,
        request: requests.Request,
        access_key: str | None,
        credential: str,
        signer: Signer | None,
        policy: RetryPolicy,
        *,
        local_allowed: bool,
    ) -> requests.Response:
        host = urlsplit(str(request.url)).netloc
        self._raise_if_unreachable(host, policy)
        until = min(time.monotonic() + policy.total_seconds, policy.deadline or float("inf"))
        attempt, queued = 0, 0.0
        unreachable_since: float | None = None
        while True:
            if access_key is not None and policy.rate_limited:
                # The wait for a turn in the rate limit does not count against SWR.
                before = time.monotonic()
                self._rate_limit.take(access_key, policy.queue_seconds - queued)
                waited = time.monotonic() - before
                queued, until = queued + waited, until + waited
                unreachable_since = None if unreachable_since is None else unreachable_since + waited
            unreachable_since = time.monotonic() if unreachable_since is None else unreachable_since
            reach_until = unreachable_since + (policy.connect_seconds or float("inf"))
            # With retries, the last attempt is shortened to keep the total.
            limit = policy.within(until - time.monotonic()) if policy.total_seconds else policy
            outgoing = OutgoingRequest(local_allowed, lambda: self._breaker.note_reached(host))
            outcome = self._attempt(request, signer, limit, outgoing, reach_until)
            wait = self._wait_after(outcome, attempt, policy)
            last = until if outgoing.sent else min(until, reach_until)
            if wait is None or time.monotonic() + wait > last:
                break
            if self._is_known_unavailable(host, credential, outcome, policy):
                break
            if isinstance(outcome, requests.Response):
                settle(outcome)
            log.info("%s %s: retrying in %.1f s", request.method, host, wait)
            interruptible_sleep(wait)
            attempt += 1
            unreachable_since = None if outgoing.sent else unreachable_since
        self._update_breaker(host, credential, outcome, policy, None if outgoing.sent else unreachable_since)
        if isinstance(outcome, AdapterError):
            raise outcome
        return outcome

    def _raise_if_unreachable(self, host: str, policy: RetryPolicy) -> None:
        if policy.connect_seconds is not None and (error := self._breaker.rejection(host)) is not None:
            raise error

    def _update_breaker(
        self,
        host: str,
        credential: str,
        outcome: requests.Response | AdapterError,
        policy: RetryPolicy,
        unreachable_since: float | None,
    ) -> None:
        """Updates the circuit breaker at the end of an exchange. `unreachable_since`: the monotonic time since which
        the host could not be reached, None if it was reached."""
        if isinstance(outcome, requests.Response):
            if outcome.status_code < _SERVER_ERROR:
                self._breaker.note_available(host, credential)
            elif policy.connect_seconds is not None and outcome.status_code in policy.statuses:
                self._breaker.note_unavailable(host, credential)
        elif unreachable_since is None or time.monotonic() - unreachable_since < _MIN_UNREACHABLE_SECONDS:
            return
        elif isinstance(outcome, Unreachable | TimedOut):
            self._breaker.note_unreachable(host, outcome, unreachable_since)

    def _is_known_unavailable(
        self, host: str, credential: str, outcome: requests.Response | AdapterError, policy: RetryPolicy
    ) -> bool:
        """Whether to stop after one attempt, because the host has returned only 5xx for some time."""
        server_error = isinstance(outcome, requests.Response) and outcome.status_code >= _SERVER_ERROR
        return server_error and policy.connect_seconds is not None and self._breaker.is_unavailable(host, credential)

    def _attempt(
        self,
        request: requests.Request,
        signer: Signer | None,
        policy: RetryPolicy,
        outgoing: OutgoingRequest,
        reach_until: float,
    ) -> requests.Response | AdapterError:
        """The response, or the error to raise if there is no further attempt."""
        url = str(request.url)
        parts = urlsplit(url)
        started = time.monotonic()
        connect = max(_MIN_CONNECT_SECONDS, min(CONNECT_SECONDS, policy.response_seconds, reach_until - started))
        request_id = None
        try:
            prepared = request.prepare()
            if signer is not None:
                prepared = signer(prepared)
            with sending(outgoing):
                response = self._adapter.send(
                    prepared,
                    stream=True,
                    timeout=(connect, policy.response_seconds),
                    proxies=dict(proxies_for(url, self._proxy)),
                )
            request_id = response.headers.get("X-Request-Id")
            if (invalid := invalid_response_error(response)) is not None:
                response.close()
                return invalid
        except (requests.RequestException, HTTPError) as error:
            failure = network_error_for(
                error, parts.hostname or "", connect, policy.response_seconds, sent=outgoing.sent
            )
            log.info("%s %s: %s", request.method, parts.hostname, type(failure).__name__)
            return failure
        finally:
            # Also if reading the client's body raised an error: SWR has received the request.
            if outgoing.sent:
                self._count(request_id)
        took = (time.monotonic() - started) * 1000
        log.debug("%s %s -> %d in %.0f ms", request.method, parts.hostname, response.status_code, took)
        return response

    @staticmethod
    def _count(request_id: str | None) -> None:
        if (current := request_context.current_request.get()) is not None:
            current.note(request_id)

    @staticmethod
    def _wait_after(outcome: requests.Response | AdapterError, attempt: int, policy: RetryPolicy) -> float | None:
        """Seconds until the next attempt, or None to give up."""
        if isinstance(outcome, AdapterError):
            repeat = policy.retry_broken and not isinstance(outcome, CertificateUntrusted | Unexpected)
            return backoff(attempt, None) if repeat else None
        throttled = requests.codes.too_many in policy.statuses and is_transient(outcome)
        if outcome.status_code not in policy.statuses and not throttled:
            return None
        return backoff(attempt, retry_after(outcome.headers.get("Retry-After"), time.time()))


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises `InvalidRequest` for an invalid value: some headers come from clients and are passed on."""
    for name, value in headers.items():
        if not value.isascii() or not value.replace("\t", " ").isprintable() or value != value.strip():
            raise InvalidRequest(f"the {name} header has invalid characters: send printable ASCII")
