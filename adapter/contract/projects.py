"""`/api/v2.0/projects`: SWR's organizations for Harbor (`docs/facts/harbor.md D.4`, `docs/facts/swr.md §4.2`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Request, Response, request

from adapter.contract.auth import credentials_of
from adapter.contract.list_cache import ListCache
from adapter.contract.pagination import page_of, paged
from adapter.contract.queries import alternatives, matcher, terms
from adapter.contract.responses import bodiless
from adapter.credentials import Credentials
from adapter.documents import parse_json
from adapter.errors import InvalidRequest, NameInvalid, OrganizationUnknown
from adapter.references import check_organization, digest_of
from adapter.swr.client import SwrClient
from adapter.swr.models import Organization
from adapter.transfer.request_body import read_all

_LARGEST_BODY: Final = 64 << 10


@dataclass(frozen=True)
class Wanted:
    """A filter on names. `names` is the or-list with which Harbor asks before a push, and only then; `required` is the
    name with which it asks before a pull."""

    names: tuple[str, ...] | None
    matches: Callable[[str], bool]
    required: str | None = None

    @property
    def key(self) -> str:
        """What a list of those it lets through is known by: the or-list, or all organizations, filtered afterwards."""
        return "" if self.names is None else digest_of("\0".join(self.names).encode())


def create_blueprint(swr: SwrClient) -> Blueprint:
    """List and create."""
    blueprint = Blueprint("namespaces", __name__)
    seen: ListCache[Organization] = ListCache()

    @blueprint.route("/api/v2.0/projects", methods=["GET"])
    def projects() -> Response:
        credentials = credentials_of(request, swr.regions)
        wanted = parse_filter(request.args.get("q"), request.args.get("name"))
        page = page_of(request)
        found = seen.read(
            credentials, wanted.key, lambda: _found(swr, credentials, wanted), first=page.first, size=page.size
        )
        if wanted.required is not None and all(each.name != wanted.required for each in found):
            raise OrganizationUnknown(
                f"the organization '{wanted.required}' does not exist in SWR, or is not visible to this access key: "
                "check the source resource filter of the replication rule"
            )
        shown = [each for each in found if wanted.names is not None or wanted.matches(each.name)]
        return paged(request, shown, key=lambda each: each.name, show=_project)

    @blueprint.route("/api/v2.0/projects", methods=["POST"])
    def create() -> Response:
        credentials = credentials_of(request, swr.regions)
        # Nothing of a stranger is read. The creation needs the same proof, so it costs no request.
        swr.tokens.confirm(credentials)
        name = _name_in(request)
        swr.organizations.create(credentials, name)
        return bodiless(201, {"Location": f"/api/v2.0/projects/{name}"}, on_v2=False)

    return blueprint


def _found(swr: SwrClient, credentials: Credentials, wanted: Wanted) -> list[Organization]:
    """By name."""
    if wanted.names is None:
        return sorted(swr.organizations.all(credentials), key=lambda each: each.name)
    found = sorted(swr.organizations.named(credentials, wanted.names), key=lambda each: each.name)
    for organization in found:
        swr.organizations.check_writable(organization)
    return found


def parse_filter(query: str | None, name: str | None) -> Wanted:
    """Harbor's `q=name={'a' 'b'}`, `q=name=a`, `q=name=~a`, and the older `name=a` (`docs/facts/harbor.md A.5`).

    Harbor's own list takes `name` as a part of the name. Its client asks so for each name of a pull rule's filter that
    has no wildcard, and picks the exact one (`docs/facts/harbor.md D.4`). When there is none it lists all projects,
    finds no repository to copy in them, and ends the run as a success: a refusal is what makes it fail, with the words.
    """
    value = terms(query).get("name")
    if value is None:
        return Wanted(None, lambda each: (name or "") in each, name or None)
    return Wanted(alternatives(value), matcher(value))


def _project(organization: Organization) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": organization.name, "metadata": {"public": "false"}}
    return entry if organization.id is None else {"project_id": organization.id, **entry}


def _name_in(incoming: Request) -> str:
    """The `project_name` of the body. Raises `InvalidRequest`, `NameInvalid`, `OrganizationReserved`, `TooLarge`."""
    body = read_all(incoming.environ, _LARGEST_BODY, "a project")
    try:
        name = parse_json(body)["project_name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidRequest("a JSON object with project_name is wanted") from None
    if not isinstance(name, str):
        raise NameInvalid("project_name must be a string")
    return check_organization(name)
