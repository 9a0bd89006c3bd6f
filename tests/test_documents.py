"""The limit on documents in memory, and the one parser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from adapter import documents
from adapter.documents import LARGE_BYTES, Charges, DocumentMemory, TooManyValues, parse_json
from adapter.errors import Busy


@contextmanager
def request_of(memory: DocumentMemory) -> Iterator[Charges]:
    charges = Charges(memory)
    token = documents.current.set(charges)
    try:
        yield charges
    finally:
        documents.current.reset(token)
        charges.close()


def test_what_a_request_holds_is_given_back_once() -> None:
    memory = DocumentMemory(limit=100, reserved=0)
    with request_of(memory) as charges:
        documents.hold(60)
        documents.hold(40)
        with pytest.raises(Busy, match="try again later") as caught:
            documents.hold(1)
        assert caught.value.retry_after
        charges.close()
    assert memory.used == 0


def test_large_requests_leave_room_for_small_ones() -> None:
    memory = DocumentMemory(limit=3 * LARGE_BYTES, reserved=LARGE_BYTES)
    large, small = Charges(memory), Charges(memory)
    large.hold(2 * LARGE_BYTES)
    with pytest.raises(Busy):
        large.hold(1)
    small.hold(LARGE_BYTES)
    with pytest.raises(Busy):
        small.hold(1)


def test_waits_for_others() -> None:
    memory = DocumentMemory(limit=10, reserved=0)
    first, second = Charges(memory), Charges(memory)
    first.hold(10)
    closing = threading.Timer(0.05, first.close)
    closing.start()
    second.hold(10, wait=20)
    closing.join()
    assert memory.used == 10


def test_a_document_that_is_dropped() -> None:
    memory = DocumentMemory()
    with request_of(memory):
        documents.hold(5)
        with documents.dropping():
            documents.hold(50)
            parse_json("[1, 2]")
            assert memory.used > 55
        assert memory.used == 5


def test_one_parsed_document_counts_at_a_time() -> None:
    memory = DocumentMemory()
    with request_of(memory):
        parse_json(b"[" + b"0," * 1000 + b"0]")
        once = memory.used
        parse_json(b"[" + b"0," * 1000 + b"0]")
        parse_json(b"[]")
        assert memory.used == once > 100_000


def test_letters_of_four_bytes_count_as_such() -> None:
    memory = DocumentMemory()
    with request_of(memory):
        parse_json('"' + "a" * 10_000 + '\U0001f40b"')
        assert memory.used > 40_000


@pytest.mark.parametrize("text", ["[" + "0," * 250_000 + "0]", "[" * 250_001, '{"a":' * 250_001])
@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_too_many_values_are_not_parsed(
    text: str, form: Callable[[str], bytes | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("json.loads", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(TooManyValues, match=r"limit 250000\)"):
        parse_json(form(text))


def test_as_many_values_as_the_limit_are_parsed() -> None:
    assert len(parse_json(b"[" + b"0," * 249_999 + b"0]")) == 250_000


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", "[" * 100_000])
def test_what_is_not_json(data: bytes | str) -> None:
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


def test_without_a_request_nothing_is_charged() -> None:
    documents.hold(10**12)
    with documents.dropping():
        assert parse_json("[1]") == [1]


def test_an_answer_is_charged_until_it_has_gone() -> None:
    memory = DocumentMemory()

    def app(environ: object, start_response: object) -> list[bytes]:
        documents.hold(7)
        return [b"x"]

    chunks = memory.charged(app)({}, lambda *_: None)
    assert (list(chunks), memory.used) == ([b"x"], 7)
    chunks.close()  # type: ignore[attr-defined]
    assert (memory.used, documents.current.get()) == (0, None)


def test_a_request_that_fails_holds_nothing() -> None:
    memory = DocumentMemory()

    def app(environ: object, start_response: object) -> list[bytes]:
        documents.hold(7)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        memory.charged(app)({}, lambda *_: None)
    assert (memory.used, documents.current.get()) == (0, None)
