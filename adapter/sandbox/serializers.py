"""JSON objects of the management API and of dockyard (docs/facts/swr.md §4.2, §4.4, §4.5, §5)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from adapter.sandbox import manifest_documents
from adapter.sandbox.accounts import permission
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.store import Manifest, Organization, Tag, number

INTERNAL_HOST = "100.125.7.25:20202"

ZERO_TIME = "0001-01-01T00:00:00Z"
NOT_DELETED = {"null": None, "empty": "", "false": False, "0": 0, "zero": ZERO_TIME, "words": "no"}


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Serializers:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def _registry(self) -> str:
        return str(self._context.options.registry_bind)

    def repositories_of(self, organization: str) -> list[str]:
        return [name for name in self._store.repositories() if name.partition("/")[0] == organization]

    def organization(self, organization: Organization, account: Account) -> dict[str, object]:
        document: dict[str, object] = {
            "id": organization.id,
            "name": organization.name,
            "creator_name": organization.creator,
            "auth": permission(account, organization),
        }
        if self._context.knobs.on("extra_fields"):
            document |= {"access_user_count": 1, "repo_count": len(self.repositories_of(organization.name))}
        return document

    def _stamp(self, seconds: float) -> object:
        """A time of a listing, in the format of the knob `times`."""
        forms: dict[str, object] = {
            "blank": timestamp(seconds).replace("T", " ").removesuffix("Z"),
            "seconds": int(seconds),
            "milliseconds": int(seconds * 1000),
            "digits": str(int(seconds)),
            "empty": "",
            "null": None,
            "zero": ZERO_TIME,
            "words": "two days ago",
        }
        return forms.get(self._context.knobs.text("times"), timestamp(seconds))

    def _size(self, manifest: Manifest | None) -> int:
        try:
            return manifest_documents.read(manifest.data, manifest.media_type).size if manifest else 0
        except ValueError:
            return 0

    def repository(self, name: str, total: int) -> dict[str, object]:
        """An entry of the repository listing; `total` is the number of all entries."""
        organization, _, short = name.partition("/")
        created, updated = self._store.repository_times(name) or (0.0, 0.0)
        tags = self._store.tag_list(name)
        shown = self._context.knobs.number("listed_tags") or len(tags)
        owner = self._store.organization(organization)
        return {
            "name": short.replace("/", "$") if self._context.knobs.text("listed_names") == "dollar" else short,
            "category": "other",
            "size": sum(self._size(self._store.manifest(name, tag.digest)) for tag in tags),
            "is_public": False,
            "num_images": len(tags),
            "num_download": 0,
            "created_at": self._stamp(created),
            "updated_at": self._stamp(updated),
            "url": "",
            "path": f"{self._registry()}/{name}",
            "internal_path": f"{INTERNAL_HOST}/{name}",
            "domain_name": owner.tenant if owner else "",
            "namespace": organization,
            "tags": [tag.name for tag in tags][:shown],
            "status": False,
            "total_range": total,
        }

    def detail(self, name: str) -> dict[str, object]:
        """One repository; the field names differ from those of the listing."""
        listed = self.repository(name, 1)
        owner = self._store.organization(name.partition("/")[0])
        common = ("name", "category", "size", "is_public", "num_images", "num_download", "url", "path", "internal_path")
        return {field: listed[field] for field in common} | {
            "id": number(name),
            "ns_id": number(name.partition("/")[0]),
            "description": "",
            "creator_id": "",
            "creator_name": owner.creator if owner else "",
            "created": listed["created_at"],
            "updated": listed["updated_at"],
            "domain_id": owner.tenant if owner else "",
            "priority": 0,
        }

    def tag(self, repository: str, tag: Tag) -> dict[str, object]:
        """An entry of the tag listing: `Tag` is capitalized, `manifest` is text, `tag_type` 1 is a manifest list."""
        manifest = self._store.manifest(repository, tag.digest)
        data = manifest.data if manifest else b"{}"
        try:
            document = manifest_documents.read(data, manifest.media_type if manifest else "")
        except ValueError:
            document = None
        owner = self._store.organization(repository.partition("/")[0])
        return {
            "id": number(f"{repository}:{tag.name}"),
            "repo_id": number(repository),
            "Tag": tag.name,
            "image_id": (document.config or "").removeprefix("sha256:") if document else "",
            "manifest": data.decode(errors="replace"),
            "digest": tag.digest,
            "schema": int(json.loads(data).get("schemaVersion", 2)),
            "path": f"{self._registry()}/{repository}:{tag.name}",
            "internal_path": f"{INTERNAL_HOST}/{repository}:{tag.name}",
            "size": document.size if document else 0,
            "is_trusted": False,
            "created": self._stamp(tag.created),
            "updated": self._stamp(tag.updated),
            "deleted": NOT_DELETED[self._context.knobs.text("deleted")],
            "domain_id": owner.tenant if owner else "",
            "scanned": False,
            "tag_type": int(bool(document and document.is_list)),
        }
