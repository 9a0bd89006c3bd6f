"""The sandbox as the SWR that recordings are replayed against, with two sets of behavior."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_KEY, SECRET_KEY
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import DEFAULT_PAGE, Contents, Gathering, State
from tests.running import OBJECTS_HOST, TENANT, RunningSandbox
from tests.services import free_ports, running

BEHAVIORS: Final[Mapping[str, Mapping[str, object]]] = {
    "default": {},
    "alternative": {
        "location": "relative",
        "upload_uuid": False,
        "upload_range": "bytes",
        "stale_state": False,
        "blob_redirect": "302",
        "mount": "201",
        "mount_scope": False,
        "manifest_delete": "refuse",
        "scopes": "refused",
        "listing_parameters": "filter",
        "content_range": "paged",
        "listed_tags": 1,
        "deleted": "empty",
        "gateway_codes": "APIG",
        "realm_slash": False,
        "dockyard": False,
    },
}
"""Knobs by name of the behavior. Where the facts leave a choice (docs/facts/swr.md §9, §10), the two differ."""


class StoredSwr:
    """What an SWR contains: the store of a sandbox."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def fill(self, start: State) -> None:
        for organization in start.organizations:
            self.store.create_organization(organization, TENANT, ACCESS_KEY)
        for repository, data in start.all_blobs():
            self.store.put_blob(repository, data)
        for repository, reference, image in start.manifests():
            self.store.put_manifest(repository, reference, image.manifest, image.media_type)

    def contents(self) -> Contents:
        found = Gathering(State())
        for repository in self.store.repositories(listed=False):
            for digest in self.store.blobs(repository):
                found.blob(repository, digest)
            for digest in self.store.manifests(repository):
                found.manifest(repository, digest, digest)
            for tag, digest in self.store.tags(repository).items():
                found.manifest(repository, tag, digest)
        return found.contents()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        manifest = self.store.manifest(repository, reference)
        return manifest.data if manifest else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        return self.store.read_blob(repository, digest) if self.store.has_blob(repository, digest) else None


class SandboxSwr(StoredSwr):
    """A sandbox process with one of the behaviors. `registry` and `api` are origins without a slash at the end."""

    def __init__(self, sandbox: RunningSandbox, behavior: str) -> None:
        super().__init__(sandbox.store)
        self._sandbox = sandbox
        self._behavior = behavior
        self.registry, self.api = sandbox.registry, sandbox.api

    def reset(self, profile: str, start: State, page: int = DEFAULT_PAGE) -> None:
        """Contains `start` and nothing else; lists at most `page` entries per page."""
        pages = {} if page == DEFAULT_PAGE else {"default_page": page, "page_cap": page}
        self._sandbox.reset(**{**BEHAVIORS[self._behavior], **PROFILES[profile].knobs, **pages})
        self.fill(start)

    def interrupt_chunk(self, after_bytes: int) -> None:
        """Closes the connection of the next PATCH after these bytes of its body; the upload is unchanged."""
        rule = {"origin": "registry", "method": "PATCH", "path": "/blobs/uploads/", "read_bytes": after_bytes}
        self._sandbox.faults({**rule, "cut_after_bytes": 0})

    def discard_uploads(self) -> None:
        for upload in self.store.uploads():
            self.store.upload_files.discard(upload.id)

    def requests(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of all requests since the reset."""
        return [(entry["method"], entry["path"], entry["status"] or 0) for entry in self._sandbox.journal()]


@contextlib.contextmanager
def profile_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox process whose account has a project for each profile."""
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
