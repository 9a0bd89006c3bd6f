"""The registry origin: /v2, the token endpoint and dockyard."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from adapter.sandbox.authorization import Authorizer
from adapter.sandbox.blobs_app import Blobs
from adapter.sandbox.context import Context
from adapter.sandbox.dockyard_app import Dockyard
from adapter.sandbox.manifests_app import Manifests
from adapter.sandbox.paging import is_absent
from adapter.sandbox.responses import as_json, registry_error
from adapter.sandbox.token_app import Tokens
from adapter.sandbox.uploads_app import Uploads


class Base:
    """`/v2/`, `_catalog` and tags (docs/facts/swr.md §6), and what applies to all requests to the registry host."""

    def __init__(self, context: Context, authorizer: Authorizer) -> None:
        self._context = context
        self._authorizer = authorizer

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("base", __name__)
        blueprint.add_url_rule("/v2/", view_func=self.version)
        blueprint.add_url_rule("/v2/_catalog", view_func=self.catalog)
        blueprint.add_url_rule("/v2/<path:repository>/tags/list", view_func=self.tags)
        blueprint.before_app_request(self.limit_rate)
        blueprint.after_app_request(self.add_headers)
        return blueprint

    def limit_rate(self) -> None:
        """Limits requests per second and tenant; above the limit: 503 (docs/facts/swr.md §4.13)."""
        account = self._authorizer.account()
        if account is None:
            return
        request.environ["sandbox.account"] = account.access_key
        if not self._context.rate.take(account.tenant, self._context.knobs.number("rate")):
            seconds = self._context.knobs.number("retry_after")
            headers = {"Retry-After": str(seconds)} if seconds else {}
            abort(registry_error(503, "UNAVAILABLE", "service unavailable", headers))

    def add_headers(self, response: Response) -> Response:
        if self._context.knobs.on("forserver"):
            response.headers["forserver"] = "swr"
        if request.path.startswith("/v2/"):
            response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response

    def version(self) -> Response:
        if self._authorizer.claims() is None:
            self._authorizer.unauthorized(None)
        return as_json({})

    def catalog(self) -> Response:
        if self._authorizer.claims() is None:
            self._authorizer.unauthorized(None)
        if not self._context.knobs.on("catalog"):
            return registry_error(404, "NOT_FOUND", "page not found")
        return as_json({"repositories": self._context.store.repositories()})

    def tags(self, repository: str) -> Response:
        self._authorizer.allow(repository, "pull")
        knobs, store = self._context.knobs, self._context.store
        if store.repository_times(repository) is None:
            if knobs.on("missing_tags_null"):
                return as_json({"name": repository, "tags": None})
            return registry_error(404, "NAME_UNKNOWN", "repository name not known to registry")
        names = [""] * knobs.number("empty_tags") + sorted(store.tags(repository))
        headers = {}
        if knobs.on("tags_paging"):
            last, n = request.args.get("last"), request.args.get("n") or str(knobs.number("tags_page"))
            names = [name for name in names if last is None or name > last]
            if last is not None and is_absent(knobs, empty=not names):
                return registry_error(404, "NAME_UNKNOWN", "repository name not known to registry")
            if n.isascii() and n.isdigit() and 0 < int(n) < len(names):
                names = names[: int(n)]
                headers["Link"] = f'</v2/{repository}/tags/list?last={names[-1]}&n={n}>; rel="next"'
        return as_json({"name": repository, "tags": names}, headers=headers)


def on_error(error: HTTPException) -> Response:
    """The response of an `abort`, else the error for an unknown URL or method, else for a defect of the sandbox."""
    if isinstance(error.response, Response):
        return error.response
    if isinstance(error, MethodNotAllowed):
        return registry_error(405, "UNSUPPORTED", "The operation is unsupported.")
    if error.code == 404:
        return registry_error(404, "NOT_FOUND", "page not found")
    return registry_error(500, "UNKNOWN", "unknown error")


def create_registry_app(context: Context) -> Flask:
    """The registry origin as a WSGI application."""
    app = Flask("sandbox-registry")
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    authorizer = Authorizer(context)
    for part in (
        Base(context, authorizer),
        Tokens(context),
        Uploads(context, authorizer),
        Manifests(context, authorizer),
    ):
        app.register_blueprint(part.blueprint())
    app.register_blueprint(Blobs(context, authorizer).blueprint())
    app.register_blueprint(Dockyard(context).blueprint())
    app.register_error_handler(HTTPException, on_error)
    return app
