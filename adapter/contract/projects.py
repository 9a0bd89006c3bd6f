"""`/api/v2.0/projects`: SWR's organizations for Harbor (`docs/facts/harbor.md D.4`, `docs/facts/swr.md §4.2`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Request, Response, request

from adapter.contract.auth import credentials_of
from adapter.contract.headers import empty_response
from adapter.contract.list_cache import ListCache
from adapter.contract.pagination import page_of, paged
from adapter.contract.queries import matcher, parse_or_list, parse_query
from adapter.credentials import Credentials
from adapter.documents import parse_json
from adapter.errors import InvalidRequest, NameInvalid, OrganizationUnknown
from adapter.references import check_organization, digest_of
from adapter.swr.client import SwrClient
from adapter.swr.models import Organization
from adapter.transfer.request_body import read_all

_MAX_BODY_BYTES: Final = 64 << 10


@dataclass(frozen=True)
class ProjectFilter:
    """A filter on names.

    `names` is the or-list that Harbor sends before a push, and only then. `required` is the name that Harbor sends
    before a pull.
    """

    names: tuple[str, ...] | None
    matches: Callable[[str], bool]
    required: str | None = None

    @property
    def cache_key(self) -> str:
        """One key for each or-list, and one for all other filters: they select from the list of all organizations."""
        return "" if self.names is None else digest_of("\0".join(self.names).encode())


def create_blueprint(swr: SwrClient) -> Blueprint:
    """List and create."""
    blueprint = Blueprint("projects", __name__)
    lists: ListCache[Organization] = ListCache()

    @blueprint.route("/api/v2.0/projects", methods=["GET"])
    def projects() -> Response:
        credentials = credentials_of(request, swr.regions)
        selected = parse_filter(request.args.get("q"), request.args.get("name"))
        page = page_of(request)
        organizations = lists.read(
            credentials,
            selected.cache_key,
            lambda: _fetch(swr, credentials, selected),
            first=page.first,
            size=page.size,
        )
        if selected.required is not None and all(each.name != selected.required for each in organizations):
            raise OrganizationUnknown(
                f"the organization '{selected.required}' does not exist in SWR, or is not visible to this access key: "
                "check the source resource filter of the replication rule"
            )
        shown = [each for each in organizations if selected.names is not None or selected.matches(each.name)]
        return paged(request, shown, key=lambda each: each.name, show=_project_json)

    @blueprint.route("/api/v2.0/projects", methods=["POST"])
    def create() -> Response:
        credentials = credentials_of(request, swr.regions)
        # The body is read only for confirmed credentials. The creation needs the same confirmation, so this costs no
        # extra request to SWR.
        swr.tokens.confirm(credentials)
        name = _name_in(request)
        swr.organizations.create(credentials, name)
        return empty_response(201, {"Location": f"/api/v2.0/projects/{name}"}, on_v2=False)

    return blueprint


def _fetch(swr: SwrClient, credentials: Credentials, selected: ProjectFilter) -> list[Organization]:
    """Sorted by name."""
    if selected.names is None:
        return sorted(swr.organizations.all(credentials), key=lambda each: each.name)
    organizations = sorted(swr.organizations.named(credentials, selected.names), key=lambda each: each.name)
    for organization in organizations:
        swr.organizations.check_writable(organization)
    return organizations


def parse_filter(query: str | None, name: str | None) -> ProjectFilter:
    """Harbor's `q=name={'a' 'b'}`, `q=name=a`, `q=name=~a`, and the older `name=a` (`docs/facts/harbor.md A.5`).

    In Harbor's own list `name` matches a part of the name. Harbor's client sends `name` for each name of a pull rule's
    filter that has no wildcard, and picks the project with exactly that name (`docs/facts/harbor.md D.4`). Without a
    match the client lists all projects, finds no repository to copy, and ends the run as a success. An error response
    instead makes the run fail with a message.
    """
    value = parse_query(query).get("name")
    if value is None:
        return ProjectFilter(None, lambda each: (name or "") in each, name or None)
    return ProjectFilter(parse_or_list(value), matcher(value))


def _project_json(organization: Organization) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": organization.name, "metadata": {"public": "false"}}
    return entry if organization.id is None else {"project_id": organization.id, **entry}


def _name_in(incoming: Request) -> str:
    """The `project_name` of the body. Raises `InvalidRequest`, `NameInvalid`, `OrganizationReserved`, `TooLarge`."""
    body = read_all(incoming.environ, _MAX_BODY_BYTES, "a project")
    try:
        name = parse_json(body)["project_name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidRequest("expected a JSON object with the field project_name") from None
    if not isinstance(name, str):
        raise NameInvalid("project_name must be a string")
    return check_organization(name)
