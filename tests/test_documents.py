"""The limit on documents in memory, and the one parser."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from adapter import documents
from adapter.documents import LARGE_BYTES, Charges, DocumentMemory, TooManyValues, parse_json
from adapter.errors import Busy


@contextlib.contextmanager
def request_of(memory: DocumentMemory) -> Iterator[Charges]:
    charges = Charges(memory)
    token = documents.current.set(charges)
    try:
        yield charges
    finally:
        documents.current.reset(token)
        charges.close()


def test_request_is_charged_until_it_is_closed() -> None:
    memory = DocumentMemory(limit=100, reserved=0)
    with request_of(memory) as charges:
        documents.hold(60)
        documents.hold(40)
        with pytest.raises(Busy, match="try again later") as caught:
            documents.hold(1)
        assert caught.value.retry_after
        charges.close()
    assert memory.used == 0


def test_large_requests_leave_memory_for_small_ones() -> None:
    memory = DocumentMemory(limit=3 * LARGE_BYTES, reserved=LARGE_BYTES)
    large, small = Charges(memory), Charges(memory)
    large.hold(2 * LARGE_BYTES)
    with pytest.raises(Busy):
        large.hold(1)
    small.hold(LARGE_BYTES)
    with pytest.raises(Busy):
        small.hold(1)


def test_hold_waits_for_memory() -> None:
    memory = DocumentMemory(limit=10, reserved=0)
    first, second = Charges(memory), Charges(memory)
    first.hold(10)
    closing = threading.Timer(0.05, first.close)
    closing.start()
    second.hold(10, wait=20)
    closing.join()
    assert memory.used == 10


def test_parsed_documents_are_charged() -> None:
    """One at a time; four bytes for each character where one is beyond Latin-1; none after a `dropping` block."""
    memory = DocumentMemory()
    with request_of(memory):
        documents.hold(5)
        with documents.dropping():
            documents.hold(50)
            parse_json("[1, 2]")
            assert memory.used > 55
        assert memory.used == 5
        parse_json('"' + "a" * 10_000 + '\U0001f40b"')
        assert memory.used > 40_000
        for document in (b"[" + b"0," * 1000 + b"0]", b"[" + b"0," * 1000 + b"0]", b"[]"):
            parse_json(document)
            assert 100_000 < memory.used < 150_000


@pytest.mark.parametrize("text", ["[" + "0," * 250_000 + "0]", "[" * 250_001, '{"a":' * 250_001])
@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_document_with_too_many_values_is_not_parsed(
    text: str, form: Callable[[str], bytes | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("json.loads", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(TooManyValues, match=r"limit 250000\)"):
        parse_json(form(text))


def test_as_many_values_as_the_limit_are_parsed() -> None:
    assert len(parse_json(b"[" + b"0," * 249_999 + b"0]")) == 250_000


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", "[" * 100_000])
def test_parse_json_rejects_invalid_json(data: bytes | str) -> None:
    with pytest.raises(ValueError):
        parse_json(data)


def test_large_documents_are_parsed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DocumentMemory()
    parsing = []
    monkeypatch.setattr("json.loads", lambda data: parsing.append(memory.parsing.locked()))
    with request_of(memory):
        parse_json(b" " * LARGE_BYTES)
        parse_json(b" " * (LARGE_BYTES + 1))
    assert parsing == [False, True]


def test_nothing_is_charged_outside_a_request() -> None:
    documents.hold(10**12)
    with documents.dropping():
        assert parse_json("[1]") == [1]


@pytest.mark.parametrize("fails", [False, True])
def test_middleware_charges_until_the_response_is_sent(fails: bool) -> None:
    memory = DocumentMemory()

    def app(environ: object, start_response: object) -> list[bytes]:
        documents.hold(7)
        if fails:
            raise RuntimeError
        return [b"x"]

    with pytest.raises(RuntimeError) if fails else contextlib.nullcontext():
        chunks = memory.charged(app)({}, lambda *_: None)
        assert (list(chunks), memory.used) == ([b"x"], 7)
        chunks.close()  # type: ignore[attr-defined]
    assert (memory.used, documents.current.get()) == (0, None)
