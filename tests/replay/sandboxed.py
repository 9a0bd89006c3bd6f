"""The sandbox as one of the two SWRs that recordings are played in front of."""

from __future__ import annotations

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_KEY
from tests.replay.scenarios import USUAL_PAGE, Contents, Gathering, State
from tests.running import TENANT, RunningSandbox


class SandboxSwr:
    """Fills and inspects the sandbox's store on disk, beside the running process."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self.registry, self.api = sandbox.registry, sandbox.api

    def reset(self, mood: str, start: State, page: int = USUAL_PAGE) -> None:
        self._sandbox.reset(oci=mood, **({} if page == USUAL_PAGE else {"default_page": page, "page_cap": page}))
        store = self._sandbox.store
        for organization in start.organizations:
            store.create_organization(organization, TENANT, ACCESS_KEY)
        for repository, data in start.all_blobs():
            store.put_blob(repository, data)
        for repository, reference, image in start.manifests():
            store.put_manifest(repository, reference, image.manifest, image.media_type)

    def contents(self) -> Contents:
        store, found = self._sandbox.store, Gathering(State())
        for folder in (store.directory / "repositories").glob("*"):
            repository = folder.name.replace("$", "/")
            for file in (folder / "blobs").glob("[!.]*"):
                found.blob(repository, f"sha256:{file.name}")
            for file in (folder / "manifests").glob("[!.]*"):
                if not file.suffix:
                    found.manifest(repository, f"sha256:{file.name}", f"sha256:{file.name}")
            for tag, digest in store.tags(repository).items():
                found.manifest(repository, tag, digest)
        return found.contents()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        kept = self._sandbox.store.manifest(repository, reference)
        return kept.data if kept else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        store: Store = self._sandbox.store
        return store.read_blob(repository, digest) if store.has_blob(repository, digest) else None

    def requests(self) -> list[tuple[str, str, int]]:
        return [(entry["method"], entry["path"], entry["status"] or 0) for entry in self._sandbox.journal()]
