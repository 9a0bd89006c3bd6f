"""`dockyard/v2` on the registry origin: documents of the management API for a login key (docs/facts/swr.md §5)."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from adapter.sandbox.context import Context
from adapter.sandbox.management_app import Management
from adapter.sandbox.options import Account
from adapter.sandbox.organizations import Organizations, RejectedError
from adapter.sandbox.paging import PageAbsentError, PagingError
from adapter.sandbox.request_bodies import BodyInterruptedError, BodyTooLargeError, read_body
from adapter.sandbox.responses import as_json, empty, swr_error
from adapter.sandbox.serializers import Serializers

MAX_BYTES = 1 << 20


class Dockyard:
    """The dockyard API. It is unknown whether OTC has this API, so a knob turns it off."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._organizations = Organizations(context)
        self._serializers = Serializers(context)
        self._management = Management(context)

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("dockyard", __name__, url_prefix="/dockyard/v2")
        blueprint.add_url_rule("/namespaces", "list", self.list)
        blueprint.add_url_rule("/visible/namespaces", "visible", self.list)
        blueprint.add_url_rule("/namespaces", "create", self.create, methods=["POST"])
        blueprint.add_url_rule("/namespaces/<name>", "get", self.get)
        blueprint.add_url_rule("/repositories", "repositories", self.repositories)
        blueprint.register_error_handler(RejectedError, lambda error: swr_error(error.code))
        blueprint.register_error_handler(PageAbsentError, lambda _: swr_error("SVCSTG.SWR.4040009"))
        blueprint.register_error_handler(PagingError, lambda _: swr_error("SVCSTG.SWR.4000056"))
        return blueprint

    def _account(self) -> Account:
        if not self._context.knobs.on("dockyard"):
            abort(404)
        header = request.headers.get("Authorization", "")
        account = self._context.accounts.log_in(header, plain_secret=self._context.knobs.on("plain_secret"))
        if account is None:
            abort(swr_error("SVCSTG.SWR.4010000"))
        return account

    def list(self) -> Response:
        account = self._account()
        return as_json(
            {
                "namespaces": [
                    self._serializers.organization(each, account) for each in self._organizations.visible(account)
                ]
            }
        )

    def create(self) -> Response:
        account = self._account()
        try:
            self._organizations.create(read_body(request.environ, MAX_BYTES), account)
        except (BodyInterruptedError, BodyTooLargeError):
            return swr_error("SVCSTG.SWR.4001018")
        return empty(201)

    def get(self, name: str) -> Response:
        account = self._account()
        try:
            organization = self._organizations.get(name, account)
        except RejectedError as error:
            if error.code == "SVCSTG.SWR.4040058" and self._context.knobs.text("dockyard_missing") == "empty":
                return as_json({})
            raise
        return as_json(self._serializers.organization(organization, account))

    def repositories(self) -> Response:
        return self._management.listing(self._account(), paged=self._context.knobs.on("dockyard_paging"))
