"""A recording of a peer that asked for no credentials, as it is where the peer challenges with Basic.

Harbor asks `/v2/` without credentials first and, where that is 401, sends them with each request after it
(docs/facts/harbor.md D.1). Nothing else changes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapter.sandbox.recording import Body, Exchange, RecordedResponse

AUTHORIZATION = ("Authorization", "Basic {basic:eu-de@AKEXAMPLE0000000001:SKexample0000000000000000000000000000001}")
REFUSED = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
CHALLENGE = RecordedResponse(401, (("Www-Authenticate", 'Basic realm="registry"'),), Body(len(REFUSED), "", REFUSED))


def challenged(recording: Iterable[Exchange]) -> tuple[Exchange, ...]:
    """The recording with a challenge as the answer to each probe, and with credentials in every other request.

    A probe is a `GET /v2/`, but for one that comes right after a probe: that is the check of the endpoint.
    """
    changed: list[Exchange] = []
    probed = False
    for exchange in recording:
        probe = exchange.request.path == "/v2/" and not probed
        if probe:
            changed.append(replace(exchange, response=CHALLENGE))
        else:
            request = replace(exchange.request, headers=(*exchange.request.headers, AUTHORIZATION))
            changed.append(replace(exchange, request=request))
        probed = probe
    return tuple(changed)
