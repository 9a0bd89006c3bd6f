"""`/v2/manage/…` on the api origin: the SWR management API, as far as an adapter needs it (docs/facts/swr.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from adapter.sandbox.accounts import permission
from adapter.sandbox.context import Context
from adapter.sandbox.gateway import Gateway
from adapter.sandbox.options import Account
from adapter.sandbox.organizations import Organizations, RejectedError
from adapter.sandbox.paging import PageAbsentError, PagingError, Query, page
from adapter.sandbox.responses import as_json, empty, swr_error
from adapter.sandbox.serializers import Serializers

VERSION = {
    "id": "v2",
    "version": "2.26",
    "min_version": "2.0",
    "status": "CURRENT",
    "updated": "2023-01-01T00:00:00Z",
    "links": {"href": "", "rel": "self"},
}


class Management:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._gateway = Gateway(context)
        self._organizations = Organizations(context)
        self._serializers = Serializers(context)

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("management", __name__)
        rules: list[tuple[str, str, Callable[..., Response]]] = [
            ("/", "GET", self.versions),
            ("/v2", "GET", self.version),
            ("/v2/manage/namespaces", "GET", self.list_organizations),
            ("/v2/manage/namespaces", "POST", self.create_organization),
            ("/v2/manage/namespaces/<name>", "GET", self.organization),
            ("/v2/manage/namespaces/<name>", "DELETE", self.delete_organization),
            ("/v2/manage/repos", "GET", self.list_repositories),
            ("/v2/manage/namespaces/<name>/repos/<path:short>", "GET", self.repository),
            ("/v2/manage/namespaces/<name>/repos/<path:short>", "DELETE", self.delete_repository),
            ("/v2/manage/namespaces/<name>/repos/<path:short>/tags", "GET", self.list_tags),
            ("/v2/manage/namespaces/<name>/repos/<path:short>/tags/<tag>", "DELETE", self.delete_tag),
            ("/v2/manage/projects/<project_id>/quotas", "GET", self.quotas),
        ]
        for path, method, view in rules:
            blueprint.add_url_rule(path, view.__name__, view, methods=[method])
        blueprint.register_error_handler(RejectedError, lambda error: self._error(error.code))
        blueprint.register_error_handler(PageAbsentError, lambda _: self._error("SVCSTG.SWR.4041057"))
        blueprint.register_error_handler(PagingError, lambda _: self._error("SVCSTG.SWR.4000056"))
        blueprint.app_errorhandler(HTTPException)(self.on_error)
        return blueprint

    def _error(self, code: str) -> Response:
        return swr_error(code, self._context.knobs.text("error_shape"))

    def on_error(self, error: HTTPException) -> Response:
        """The response of an `abort`, else the error for an unknown URL or method, else for a defect of the sandbox."""
        if isinstance(error.response, Response):
            return error.response
        return self._error("SVCSTG.SWR.4040083" if error.code in {404, 405} else "SVCSTG.SWR.5000001")

    # versions: without credentials (§4.1)

    def versions(self) -> Response:
        return as_json({"versions": [VERSION]})

    def version(self) -> Response:
        return as_json({"version": VERSION})

    # organizations (§4.2) and their quota (§4.9)

    def list_organizations(self) -> Response:
        account, _ = self._gateway.authenticate()
        query = Query.read(request.args)
        name = query.values.get("namespace")
        found = [each for each in self._organizations.visible(account) if name in {None, each.name}]
        return as_json({"namespaces": [self._serializers.organization(each, account) for each in found]})

    def create_organization(self) -> Response:
        account, body = self._gateway.authenticate()
        self._organizations.create(body, account)
        return empty(int(self._context.knobs.text("create_status")))

    def organization(self, name: str) -> Response:
        account, _ = self._gateway.authenticate()
        return as_json(self._serializers.organization(self._organizations.get(name, account), account))

    def delete_organization(self, name: str) -> Response:
        account, _ = self._gateway.authenticate()
        self._organizations.delete(name, account)
        return empty(204)

    def quotas(self, project_id: str) -> Response:
        """The quotas of the tenant, for whichever project."""
        account, _ = self._gateway.authenticate()
        limit, used = self._context.knobs.number("organizations"), self._organizations.used(account)
        entry = {"quota_key": "namespace", "quota_limit": limit, "used": used, "unit": ""}
        return as_json({"quotas": [entry] if project_id else []})

    # repositories (§4.4)

    def list_repositories(self) -> Response:
        account, _ = self._gateway.authenticate()
        return self.listing(account)

    def _query(self) -> Query:
        query = Query.read(request.args)
        query.check(self._context.knobs.text("listing_parameters"))
        return query

    def listing(self, account: Account, *, paged: bool = True) -> Response:
        """The repositories of the account that the query selects; dockyard uses it too. `paged`: honor the offset."""
        query = self._query()
        if not paged:
            query = replace(query, values={**query.values, "offset": "0"})
        visible = {each.name for each in self._store.organizations() if permission(account, each)}
        names = [name for name in self._store.repositories() if name.partition("/")[0] in visible]
        parts = [(name, *name.partition("/")[::2]) for name in names]
        chosen = [name for name, ns, short in parts if query.accepts("namespace", ns) and query.accepts("name", short)]
        ordering = self._context.knobs.on("ordering")
        if not ordering or query.values.get("order_column") == "updated_time":
            chosen.sort(key=lambda name: (self._store.repository_times(name) or (0.0, 0.0))[1])
        if not ordering or query.values.get("order_type") == "desc":
            chosen.reverse()
        part = page(chosen, query, self._context.knobs)
        entries = [self._serializers.repository(name, len(chosen)) for name in part.entries]
        return as_json(entries, headers=part.headers)

    def _found(self, organization: str, segment: str, account: Account, needed: int = 1) -> str:
        """The full name of the repository. `$` in the path replaces `/`; a path with `/` finds no nested repository."""
        self._organizations.get(organization, account, needed)
        dollars = self._context.knobs.on("dollar_paths")
        if dollars and "/" in segment:
            raise RejectedError("SVCSTG.SWR.4040083")
        name = f"{organization}/{segment.replace('$', '/') if dollars else segment}"
        try:
            exists = self._store.repository_times(name) is not None
        except ValueError:
            exists = False
        if not exists:
            raise RejectedError("SVCSTG.SWR.4040113")
        return name

    def repository(self, name: str, short: str) -> Response:
        account, _ = self._gateway.authenticate()
        return as_json(self._serializers.detail(self._found(name, short, account)))

    def delete_repository(self, name: str, short: str) -> Response:
        account, _ = self._gateway.authenticate()
        repository = self._found(name, short, account, needed=7)
        if self._store.tags(repository) and not self._context.knobs.on("delete_nonempty_repository"):
            raise RejectedError("SVCSTG.SWR.4060012")
        self._store.delete_repository(repository)
        return empty(204)

    # tags (§4.5)

    def list_tags(self, name: str, short: str) -> Response:
        account, _ = self._gateway.authenticate()
        repository, query = self._found(name, short, account), self._query()
        tags = [tag for tag in self._store.tag_list(repository) if query.accepts("tag", tag.name)]
        ordering = self._context.knobs.on("ordering")
        if not ordering or query.values.get("order_column") != "tag":
            tags.sort(key=lambda tag: tag.updated)
        if not ordering or query.values.get("order_type", "desc") == "desc":
            tags.reverse()
        part = page(tags, query, self._context.knobs)
        return as_json([self._serializers.tag(repository, tag) for tag in part.entries], headers=part.headers)

    def delete_tag(self, name: str, short: str, tag: str) -> Response:
        account, _ = self._gateway.authenticate()
        repository = self._found(name, short, account, needed=7)
        if not self._store.delete_tag(repository, tag):
            raise RejectedError("SVCSTG.SWR.4040048")
        return empty(204)
