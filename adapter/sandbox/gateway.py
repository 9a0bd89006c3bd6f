"""The API gateway in front of the management API: checks signatures, locks access keys (docs/facts/swr.md §3)."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response, abort, request

from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.request_bodies import BodyInterruptedError, BodyTooLargeError, read_body
from adapter.sandbox.responses import gateway_error, swr_error
from adapter.sandbox.signature import AWS, SDK, Credential, from_environ, parse_authorization, signed_at, valid

MAX_BYTES = 1 << 20


class Gateway:
    def __init__(self, context: Context) -> None:
        self._context = context

    def authenticate(self) -> tuple[Account, bytes]:
        """The account that signed the request, and the body. Ends any other request by `abort`."""
        shape = self._context.knobs.text("error_shape")
        try:
            body = read_body(request.environ, MAX_BYTES)
        except (BodyInterruptedError, BodyTooLargeError):
            abort(swr_error("SVCSTG.SWR.4001018", shape))
        header = request.headers.get("Authorization")
        if header is None:
            code = "SVCSTG.SWR.4010000" if "X-Auth-Token" in request.headers else "SVCSTG.S2I.4019000"
            abort(swr_error(code, shape))
        credential = parse_authorization(header)
        accepted = {"sdk": {SDK}, "aws4": {AWS}, "any": {SDK, AWS}}[self._context.knobs.text("signing")]
        if credential is None or credential.algorithm not in accepted:
            abort(self._unauthorized("authorization format is incorrect"))
        account = self._context.accounts.get(credential.access_key)
        error = self._check(account, credential, body)
        if error is not None or account is None:
            abort(error or self._unauthorized(f"ak {credential.access_key} not exist"))
        request.environ["sandbox.account"] = account.access_key
        return account, body

    def _unauthorized(self, reason: str) -> Response:
        prefix = self._context.knobs.text("gateway_codes")
        return gateway_error(f"Incorrect IAM authentication information: {reason}", prefix)

    def _check(self, account: Account | None, credential: Credential, body: bytes) -> Response | None:
        knobs, lockouts = self._context.knobs, self._context.lockouts
        after, seconds = knobs.number("lockout_after"), knobs.number("lockout_seconds")
        if account is None:
            lockouts.record_invalid(None, after, seconds)
            return self._unauthorized(f"ak {credential.access_key} not exist")
        request.environ["sandbox.account"] = account.access_key
        if lockouts.locked(account.access_key):
            return self._unauthorized("AK access failed to reach the limit,forbidden")
        signed = from_environ(request.environ, body)
        when = signed_at(signed, credential)
        if when is None or abs((datetime.now(UTC) - when).total_seconds()) > knobs.number("clock_skew_seconds"):
            return self._unauthorized("signature expired, check the clock")
        regions = {project.partition("_")[0] for project in account.projects}
        in_region = credential.algorithm == SDK or credential.scope[1] in regions
        if not in_region or not valid(signed, credential, account.secret_key):
            lockouts.record_invalid(account.access_key, after, seconds)
            return self._unauthorized("verify aksk signature fail")
        lockouts.record_valid(account.access_key)
        return None
