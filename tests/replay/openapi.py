"""Played exchanges against `openapi/contract.yaml`: the contract door as Harbor meets it is the one of the document."""

from __future__ import annotations

from adapter.sandbox.replay import Result
from tests.contract.openapi import Exchanged, answer_faults, request_faults


def deviations(result: Result) -> list[str]:
    """Everything in Harbor's request and in its answer that the document has not, one sentence each.

    Nothing for an exchange without an answer, which is a complaint already. A request is judged whatever its answer.
    """
    if result.status is None or result.target is None:
        return []
    request = result.exchange.request
    exchanged = Exchanged(
        request.method,
        result.target,
        request.headers,
        b"" if request.body is None else request.body.data,
        result.status,
        result.headers,
        result.body,
    )
    return [f"{result.exchange}: {each}" for each in (*request_faults(exchanged), *answer_faults(exchanged))]
