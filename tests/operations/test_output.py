"""Log lines and a standard error whose reader is slow, or gone."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from adapter.operations.formats import TextFormatter
from adapter.operations.output import Output

LINE = "x" * 999


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("a", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_all(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(descriptor, 65536)
    return data


def test_unread_lines_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    output = Output(writes, max_bytes=100_000)
    output.setFormatter(TextFormatter())
    for number in range(1000):
        output.handle(record(f"{number:03d}{LINE}"))
    # The pipe and the buffer behind it are full; reading makes room.
    output.handle(record("last"))
    seen = os.read(reads, 65536)
    output.handle(record("after"))
    while b"after\n" not in seen:
        seen += os.read(reads, 65536)
        output.handle(record("after"))
    lines = seen.decode().splitlines()
    kept = [line for line in lines if line.endswith(LINE)]
    dropped = [int(line.split()[3]) for line in lines if "were dropped" in line]
    assert len(kept) < 250
    assert len(kept) + sum(dropped) >= 1000
    assert kept == sorted(kept)
    output.close()


def test_flush_waits_for_the_last_line(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    output = Output(writes)
    for number in range(500):
        output.handle(record(f"{number:03d}{LINE}"))
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(read_all(reads, 500 * 1003)))
    reader.start()
    output.flush()
    reader.join(10)
    assert [int(line[:3]) for line in read[0].splitlines()] == list(range(500))
    output.close()


def test_gone_reader_blocks_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    output = Output(writes)
    output.handle(record("nobody"))
    output.flush()
    output.close()
    os.close(writes)


def test_forked_process_writes_each_line_once(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    output = Output(writes)
    output.handle(record("parent before"))
    child = os.fork()
    output.handle(record("child" if child == 0 else "parent after"))
    output.flush()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    size = len("parent before\nparent after\nchild\n")
    assert sorted(read_all(reads, size).decode().splitlines()) == ["child", "parent after", "parent before"]
    output.close()
