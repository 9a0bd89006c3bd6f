"""The control API on the api origin, below `/sandbox/`: reset, knobs, journal, faults, garbage collection.

SWR has no such API.
"""

from __future__ import annotations

import json

from flask import Blueprint, Flask, Response, request

from adapter.sandbox.context import Context
from adapter.sandbox.faults import Fault
from adapter.sandbox.garbage_collection import COLLECTABLE, collect_garbage
from adapter.sandbox.management_app import Management
from adapter.sandbox.request_bodies import read_body
from adapter.sandbox.responses import as_json, empty

MAX_BYTES = 1 << 20


class Control:
    def __init__(self, context: Context) -> None:
        self._context = context

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("control", __name__, url_prefix="/sandbox")
        rules = [
            ("/reset", "POST", self.reset),
            ("/knobs", "GET", self.knobs),
            ("/knobs", "PUT", self.set_knobs),
            ("/journal", "GET", self.journal),
            ("/journal", "DELETE", self.clear_journal),
            ("/faults", "GET", self.faults),
            ("/faults", "PUT", self.set_faults),
            ("/forget", "POST", self.forget),
            ("/bad-signatures", "GET", self.bad_signatures),
        ]
        for path, method, view in rules:
            blueprint.add_url_rule(path, view.__name__, view, methods=[method])
        blueprint.register_error_handler(ValueError, lambda error: as_json({"error": str(error)}, 400))
        return blueprint

    def _body(self) -> object:
        return json.loads(read_body(request.environ, MAX_BYTES))

    def reset(self) -> Response:
        self._context.reset()
        return empty(204)

    def knobs(self) -> Response:
        return as_json(self._context.knobs.all())

    def set_knobs(self) -> Response:
        """Sets the knobs of the body and returns all knobs."""
        values = self._body()
        if not isinstance(values, dict):
            raise ValueError("expected a JSON object of knobs")
        self._context.knobs.set(values)
        return self.knobs()

    def journal(self) -> Response:
        return as_json(self._context.journal.all())

    def clear_journal(self) -> Response:
        self._context.journal.clear()
        return empty(204)

    def faults(self) -> Response:
        return as_json(self._context.faults.all())

    def set_faults(self) -> Response:
        """Replaces all rules."""
        rules = self._body()
        if not isinstance(rules, list):
            raise ValueError("expected a JSON array of fault rules")
        self._context.faults.set([Fault.parse(each) for each in rules])
        return self.faults()

    def forget(self) -> Response:
        """`{"what": "blobs" | "manifests" | "both"}`: collects garbage in all repositories and returns the digests."""
        body = self._body()
        what = body.get("what") if isinstance(body, dict) else None
        if what not in COLLECTABLE:
            raise ValueError(f"`what` must be one of {', '.join(COLLECTABLE)}")
        store = self._context.store
        deleted = {name: collect_garbage(store, name, what) for name in store.repositories(listed=False)}
        return as_json({name: digests for name, digests in deleted.items() if digests})

    def bad_signatures(self) -> Response:
        return as_json(self._context.lockouts.report())


def create_api_app(context: Context) -> Flask:
    """The api origin as a WSGI application: the management API and the control API."""
    app = Flask("sandbox-api")
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.register_blueprint(Management(context).blueprint())
    app.register_blueprint(Control(context).blueprint())
    return app
