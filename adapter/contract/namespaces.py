"""`/api/v2.0/projects`: SWR's organizations for Harbor (`docs/facts/harbor.md D.4`, `docs/facts/swr.md §4.2`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Request, Response, request

from adapter.contract.answers import bodiless
from adapter.contract.caller import identity_of
from adapter.contract.paging import paged
from adapter.errors import InvalidRequest, NameInvalid
from adapter.identity import Identity
from adapter.names import check_organization
from adapter.swr.client import SwrClient
from adapter.swr.management import Organization
from adapter.transfer.body import announced_length, read_all

_LARGEST_BODY: Final = 64 << 10


@dataclass(frozen=True)
class Wanted:
    """A filter on names. `names` is the or-list with which Harbor asks before a push, and only then."""

    names: tuple[str, ...] | None
    matches: Callable[[str], bool]


def create_blueprint(swr: SwrClient) -> Blueprint:
    """List and create."""
    blueprint = Blueprint("namespaces", __name__)

    @blueprint.route("/api/v2.0/projects", methods=["GET"])
    def projects() -> Response:
        identity = identity_of(request, swr.regions)
        wanted = parse_filter(request.args.get("q"), request.args.get("name"))
        return paged(request, [_project(each) for each in _found(swr, identity, wanted)])

    @blueprint.route("/api/v2.0/projects", methods=["POST"])
    def create() -> Response:
        identity = identity_of(request, swr.regions)
        name = _name_in(request)
        swr.organizations.create(identity, name)
        return bodiless(201, {"Location": f"/api/v2.0/projects/{name}"}, on_v2=False)

    return blueprint


def _found(swr: SwrClient, identity: Identity, wanted: Wanted) -> list[Organization]:
    if wanted.names is None:
        every = swr.organizations.all(identity)
        return sorted((each for each in every if wanted.matches(each.name)), key=lambda each: each.name)
    found = swr.organizations.named(identity, wanted.names)
    for organization in found:
        swr.organizations.refuse_unwritable(organization)
    return found


def parse_filter(query: str | None, name: str | None) -> Wanted:
    """Harbor's `q=name={'a' 'b'}`, `q=name=a`, `q=name=~a`, and the older `name=a` (`docs/facts/harbor.md A.5`).

    Up to 2.12 Harbor quotes the whole list, `{'a b'}`; names hold no blank, so that is the same list.
    """
    parts = (part.partition("=") for part in (query or "").split(","))
    value = next((value for key, _, value in parts if key.strip() == "name"), None)
    if value is None:
        # Harbor's own list takes `name` as a part of the name, and its client picks the exact one.
        return Wanted(None, lambda each: (name or "") in each)
    if value.startswith("{") and value.endswith("}"):
        names = tuple(re.sub(r"['\"]", " ", value[1:-1]).split())
        return Wanted(names, lambda each: each in names)
    if value.startswith("~"):
        return Wanted(None, lambda each: value[1:] in each)
    return Wanted(None, lambda each: each == value)


def _project(organization: Organization) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": organization.name, "metadata": {"public": "false"}}
    return entry if organization.id is None else {"project_id": organization.id, **entry}


def _name_in(incoming: Request) -> str:
    """The `project_name` of the body. Raises `InvalidRequest`, `NameInvalid`, `OrganizationReserved`, `TooLarge`."""
    body = read_all(incoming.environ["wsgi.input"], announced_length(incoming.environ), _LARGEST_BODY, "a project")
    try:
        name = json.loads(body)["project_name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidRequest("a JSON object with project_name is wanted") from None
    if not isinstance(name, str):
        raise NameInvalid("project_name must be a string")
    return check_organization(name)
