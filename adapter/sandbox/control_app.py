"""The control API on the api origin, below `/sandbox/`: reset, knobs, journal, faults, forgetting.

SWR has nothing of it.
"""

from __future__ import annotations

import json

from flask import Blueprint, Flask, Response, request

from adapter.sandbox import forgetting
from adapter.sandbox.answers import as_json, empty
from adapter.sandbox.bodies import whole
from adapter.sandbox.context import Context
from adapter.sandbox.faults import Fault
from adapter.sandbox.management_app import Management

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
        return json.loads(whole(request.environ, MAX_BYTES))

    def reset(self) -> Response:
        self._context.reset()
        return empty(204)

    def knobs(self) -> Response:
        return as_json(self._context.knobs.all())

    def set_knobs(self) -> Response:
        """Some knobs, by name; the others stay. Answers with all of them."""
        values = self._body()
        if not isinstance(values, dict):
            raise ValueError("knobs are an object")
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
        """The rules replace those in force."""
        rules = self._body()
        if not isinstance(rules, list):
            raise ValueError("faults are an array")
        self._context.faults.set([Fault.parse(each) for each in rules])
        return self.faults()

    def forget(self) -> Response:
        """`{"what": "blobs" | "manifests" | "both"}`: forgets in all repositories at once; answers with the digests."""
        order = self._body()
        what = order.get("what") if isinstance(order, dict) else None
        if what not in forgetting.FORGETTABLE:
            raise ValueError(f"`what` is one of {', '.join(forgetting.FORGETTABLE)}")
        store = self._context.store
        gone = {name: forgetting.forget(store, name, what) for name in store.repositories(listed=False)}
        return as_json({name: digests for name, digests in gone.items() if digests})

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
