"""The base class of all errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AdapterError(Exception):
    """Base of every error that is sent to a caller; never raised itself.

    `swr_code` (`SVCSTG.SWR.4000097`, `APIGW.0301`, `DENIED`), `swr_message` and `request_id` come from SWR, if it sent
    any; `retry_after` is in seconds; `headers` go into the response.
    """

    id: ClassVar[str] = "adapter-error"
    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        sentence: str,
        *,
        swr_code: str | None = None,
        swr_message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.swr_code = swr_code
        self.swr_message = swr_message
        self.request_id = request_id
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def of_swr(self) -> dict[str, Any]:
        """Code, message and request ID of SWR, as arguments for an error that explains this one in other words."""
        return {"swr_code": self.swr_code, "swr_message": self.swr_message, "request_id": self.request_id}
