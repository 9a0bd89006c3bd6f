"""The contract listener with TLS: otherwise AK and SK are sent in plain text."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import Image
from tests.certificates import Certificate
from tests.contract.http import (
    LARGE,
    SMALL,
    Door,
    digest_of,
    eventually,
    pieces,
    read_answer,
    refused,
    with_query,
)
from tests.contract.skopeo import remote, skopeo, write
from tests.contract.test_blobs import BLOB, one_by_one
from tests.credentials import ACCESS_ID, SECRET_KEY
from tests.running import RunningAdapter, RunningSandbox, running_adapter

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def adapter(certificate: Certificate, regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    with running_adapter(
        regions, tls_certificate=certificate.chain, tls_key=certificate.key, client_idle_timeout=2
    ) as it:
        yield it


@pytest.fixture
def door(adapter: RunningAdapter, certificate: Certificate, swr: RunningSandbox) -> Door:
    return Door(adapter.contract, context=certificate.context)


def test_uploads_and_downloads(door: Door, swr: RunningSandbox, repository: str) -> None:
    for data in (b"", SMALL, LARGE):
        digest = door.push(repository, data)
        assert swr.store.read_blob(repository, digest) == data
        assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").body == data
    refused(door.put(door.start(repository), digest_of(LARGE + b"x"), LARGE), 400, code="DIGEST_INVALID")
    whole, part, head = one_by_one(door, f"/v2/{repository}/blobs/{swr.store.put_blob(repository, BLOB)}")
    assert (whole.body, part.body, head.status) == (BLOB, BLOB[1000:2_000_000], 200)
    answer = door.ask("PATCH", door.start(repository), pieces(LARGE, 40_000))
    assert door.put(answer.header("Location"), digest_of(LARGE), b"").status == 201


@pytest.mark.parametrize("polite", [True, False], ids=["close_notify", "cut"])
@pytest.mark.parametrize("sent", [0, 1, 350_000, len(LARGE) - 1])
def test_truncated_body(door: Door, swr: RunningSandbox, repository: str, sent: int, polite: bool) -> None:
    target = with_query(door.start(repository), digest=digest_of(LARGE))
    connection = door.open()
    assert isinstance(connection, ssl.SSLSocket)
    connection.sendall(door.head("PUT", target, f"Content-Length: {len(LARGE)}") + LARGE[:sent])
    if polite:
        connection.settimeout(0.2)
        with suppress(TimeoutError, ssl.SSLError):
            connection.unwrap()
    connection.close()
    door.push(repository, SMALL)
    assert not swr.store.has_blob(repository, digest_of(LARGE))


def test_response_reaches_a_client_that_is_still_sending(door: Door, repository: str) -> None:
    for _ in range(10):
        with door.open() as connection:
            head = door.head(
                "PUT", f"/v2/{repository}/blobs/uploads/x?digest={digest_of(b'x')}", "Content-Length: 99999999"
            )
            connection.sendall(head)
            for _ in range(40):
                connection.sendall(bytes(1 << 18))
            assert connection.recv(12) == b"HTTP/1.1 404"


@pytest.mark.parametrize("said", [b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b"\0" * 600, b""])
def test_other_protocols_on_the_tls_port(door: Door, said: bytes) -> None:
    """The connection ends soon, and others are served meanwhile."""
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(said)
        assert door.ask("GET", "/api/version").status == 200
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass


def test_tls_on_the_plain_port(door: Door, usual_adapter: RunningAdapter) -> None:
    plain = Door(usual_adapter.contract)
    with socket.create_connection(plain.address, 10) as connection, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)
    assert plain.ask("GET", "/api/version").status == 200


def test_skopeo(
    door: Door,
    certificate: Certificate,
    swr: RunningSandbox,
    repository: str,
    recorded_images: Mapping[str, Image],
    tmp_path: Path,
) -> None:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    shutil.copy(certificate.authority, certificates / "ca.crt")
    image = recorded_images["hello:v1"]
    options = ("--dest-cert-dir", str(certificates), "--dest-creds", f"{ACCESS_ID}:{SECRET_KEY}")
    pushed = skopeo("copy", *options, write(tmp_path / "there", image), remote(door, repository))
    assert pushed.returncode == 0, pushed.stderr
    assert swr.store.tags(repository) == {"v1": image.digest}


def test_clients_that_disconnect_in_the_handshake_do_not_end_the_process(
    certificate: Certificate, regions: dict[str, dict[str, str]], swr: RunningSandbox, repository: str
) -> None:
    """TCP probes: each must be counted once, or the process ends before its transfers."""
    with running_adapter(regions, tls_certificate=certificate.chain, tls_key=certificate.key) as adapter:
        door = Door(adapter.contract, context=certificate.context)
        for _ in range(8):
            with socket.create_connection(door.address, 10) as connection:
                connection.sendall(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        target = with_query(door.start(repository), digest=digest_of(LARGE))
        with door.open() as connection:
            connection.sendall(door.head("PUT", target, f"Content-Length: {len(LARGE)}") + LARGE[:400_000])
            adapter.service.process.send_signal(signal.SIGTERM)
            eventually(lambda: "Handling signal: term" in adapter.service.output)
            for _ in range(20):
                assert Door(adapter.operations).ask("GET", "/probe/healthy").status == 200
            connection.sendall(LARGE[400_000:])
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == 201


def test_incomplete_renewal_of_the_certificate_ends_nothing(
    certificate: Certificate, regions: dict[str, dict[str, str]], swr: RunningSandbox
) -> None:
    with running_adapter(regions, tls_certificate=certificate.chain, tls_key=certificate.key) as adapter:
        before, context = certificate.chain.read_bytes(), certificate.context
        certificate.renew()
        certificate.chain.write_bytes(before)
        adapter.service.process.send_signal(signal.SIGHUP)
        eventually(lambda: adapter.service.output.count("Booting worker") == 2)
        eventually(lambda: Door(adapter.contract, context=context).ask("GET", "/api/version").status == 200)
        assert adapter.service.process.poll() is None
    certificate.renew()


def test_renewed_certificate_is_used(adapter: RunningAdapter, certificate: Certificate, door: Door) -> None:
    before = certificate.context
    certificate.renew()
    assert Door(adapter.contract, context=certificate.context).ask("GET", "/api/version").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        Door(adapter.contract, context=before).ask("GET", "/api/version")
