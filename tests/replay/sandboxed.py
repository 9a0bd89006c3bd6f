"""The sandbox as one of the two SWRs that recordings are played in front of."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import USUAL_PAGE, Contents, Gathering, State
from tests.running import OBJECTS_HOST, TENANT, RunningSandbox
from tests.services import free_ports, running


class SandboxSwr:
    """Fills and inspects the sandbox's store on disk, beside the running process."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self.registry, self.api = sandbox.registry, sandbox.api

    def reset(self, profile: str, start: State, page: int = USUAL_PAGE) -> None:
        pages = {} if page == USUAL_PAGE else {"default_page": page, "page_cap": page}
        self._sandbox.reset(**PROFILES[profile].knobs, **pages)
        store = self._sandbox.store
        for organization in start.organizations:
            store.create_organization(organization, TENANT, ACCESS_KEY)
        for repository, data in start.all_blobs():
            store.put_blob(repository, data)
        for repository, reference, image in start.manifests():
            store.put_manifest(repository, reference, image.manifest, image.media_type)

    def contents(self) -> Contents:
        store, found = self._sandbox.store, Gathering(State())
        for repository in store.repositories(listed=False):
            for digest in store.blobs(repository):
                found.blob(repository, digest)
            for digest in store.manifests(repository):
                found.manifest(repository, digest, digest)
            for tag, digest in store.tags(repository).items():
                found.manifest(repository, tag, digest)
        return found.contents()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        kept = self._sandbox.store.manifest(repository, reference)
        return kept.data if kept else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        store: Store = self._sandbox.store
        return store.read_blob(repository, digest) if store.has_blob(repository, digest) else None

    def cut_chunk(self, after: int) -> None:
        cut = {"origin": "registry", "method": "PATCH", "path": "/blobs/uploads/", "read_bytes": after}
        self._sandbox.faults({**cut, "cut_after_bytes": 0})

    def forget_uploads(self) -> None:
        for upload in self._sandbox.store.uploads():
            self._sandbox.store.upload_files.discard(upload.id)

    def requests(self) -> list[tuple[str, str, int]]:
        return [(entry["method"], entry["path"], entry["status"] or 0) for entry in self._sandbox.journal()]


@contextlib.contextmanager
def profile_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox process whose account has a project for each mood."""
    ports = free_ports(3)
    binds = [f"{host}:{port}" for host, port in zip(("127.0.0.1", "127.0.0.1", OBJECTS_HOST), ports, strict=True)]
    projects = ",".join(profile.project for profile in PROFILES.values())
    options = [f"--{name}-bind={bind}" for name, bind in zip(("registry", "api", "objects"), binds, strict=True)]
    with tempfile.TemporaryDirectory(prefix="sandbox-") as data:
        account = f"{ACCESS_KEY}:{SECRET_KEY}:{projects}:{TENANT}"
        command = ("sandbox", f"--data={data}", f"--account={account}", "--knob=rate=0", *options)
        with running("sandbox", *command, env={}, port=ports[1], path="/sandbox/knobs") as service:
            registry, api, objects = (f"http://{bind}" for bind in binds)
            yield RunningSandbox(registry, api, objects, Store(Path(data)), service)
