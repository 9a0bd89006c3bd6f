"""An adapter in front of the sandbox, which is reset before each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image
from tests.contract.conftest import put_back
from tests.contract.http import Door
from tests.contract.skopeo import remote, skopeo, write
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import RunningAdapter, RunningSandbox, running_adapter

CREDENTIALS = f"{ACCESS_ID}:{SECRET_KEY}"

Push = Callable[[str, str, Image], None]


@pytest.fixture(scope="package")
def adapter_before_sandbox(sandbox: RunningSandbox) -> Iterator[RunningAdapter]:
    with running_adapter({PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}) as running:
        yield running


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    return put_back(sandbox)


@pytest.fixture
def door(adapter_before_sandbox: RunningAdapter, swr: RunningSandbox) -> Door:
    return Door(adapter_before_sandbox.contract)


@pytest.fixture
def push(door: Door, tmp_path: Path) -> Push:
    """Pushes an image with skopeo, through the adapter."""

    numbers = itertools.count()

    def push(repository: str, tag: str, image: Image) -> None:
        source = tmp_path / f"pushed{next(numbers)}"
        arguments = ("--dest-tls-verify=false", "--dest-creds", CREDENTIALS)
        pushed = skopeo("copy", *arguments, write(source, image), remote(door, repository, tag))
        assert pushed.returncode == 0, pushed.stderr

    return push
