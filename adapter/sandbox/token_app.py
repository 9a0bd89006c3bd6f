"""The token endpoint: GET only, Basic with the login key, one repository per scope (docs/facts/swr.md §5)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.sandbox.accounts import permission
from adapter.sandbox.authorization import NEEDED, TOKEN_PATH
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.responses import NO_ORGANIZATION, NO_PERMISSION, as_json, denied, registry_error
from adapter.sandbox.tokens import Claims


def parse_scopes(values: list[str]) -> dict[str, frozenset[str]]:
    """Actions by repository name, from texts of the form `repository:<name>:<actions>`.

    :raises ValueError: for a scope of another form.
    """
    access: dict[str, frozenset[str]] = {}
    for scope in " ".join(values).split():
        kind, colon, rest = scope.partition(":")
        name, last_colon, actions = rest.rpartition(":")
        if kind != "repository" or not colon or not last_colon or not name:
            raise ValueError(f"invalid repository scope: {scope!r}")
        access[name] = access.get(name, frozenset()) | frozenset(each for each in actions.split(",") if each)
    return access


class Tokens:
    """`GET /swr/auth/v2/registry/auth`, with or without a slash at the end."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("tokens", __name__)
        blueprint.add_url_rule(f"{TOKEN_PATH}/", view_func=self.issue, methods=["GET", "POST"])
        return blueprint

    def issue(self) -> Response:
        knobs = self._context.knobs
        if request.method == "POST" and not knobs.on("token_post"):
            return registry_error(404, "NOT_FOUND", "page not found")
        header = request.headers.get("Authorization", "")
        account = self._context.accounts.log_in(header, plain_secret=knobs.on("plain_secret"))
        if account is None:
            return denied("Authenticate Error")
        try:
            requested = parse_scopes(self._scopes())
        except ValueError:
            return registry_error(400, "UNSUPPORTED", "invalid scope")
        access = {}
        for name, actions in requested.items():
            granted = self._granted(account, name, actions)
            if isinstance(granted, Response):
                return granted
            access[name] = granted
        lifetime = knobs.number("token_seconds")
        document: dict[str, object] = {
            "token": self._context.signer.token(Claims(account.access_key, access), lifetime)
        }
        if knobs.on("expires_in"):
            document["expires_in"] = lifetime
        return as_json(document)

    def _scopes(self) -> list[str]:
        """The scopes of the request that count.

        :raises ValueError: for several scopes when the knob `scopes` rejects them.
        """
        scopes, mode = request.args.getlist("scope"), self._context.knobs.text("scopes")
        if mode == "refused" and len(scopes) > 1:
            raise ValueError("more than one scope")
        return scopes[:1] if mode == "first" else scopes

    def _granted(self, account: Account, name: str, actions: frozenset[str]) -> frozenset[str] | Response:
        organization = self._context.store.organization(name.partition("/")[0])
        if organization is None:
            return denied(NO_ORGANIZATION) if self._context.knobs.on("deny_missing_organization") else frozenset()
        granted_level = permission(account, organization)
        granted = frozenset(action for action in actions if granted_level >= NEEDED.get(action, 8))
        if self._context.knobs.text("excess_scope") == "downscope":
            return granted
        return granted if granted_level and granted == actions else denied(NO_PERMISSION)
