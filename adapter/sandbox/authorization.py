"""Authorization of requests to /v2: challenge, token, organization and scope."""

from __future__ import annotations

from flask import abort, request

from adapter.sandbox.accounts import permission
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account
from adapter.sandbox.responses import NO_ORGANIZATION, NO_PERMISSION, denied, registry_error
from adapter.sandbox.store import REPOSITORY
from adapter.sandbox.tokens import Claims

TOKEN_PATH = "/swr/auth/v2/registry/auth"  # noqa: S105 - a path
NEEDED = {"pull": 1, "push": 3, "delete": 7, "*": 7}


def own_url() -> str:
    """The URL of the registry with the Host of the request, e.g. `http://127.0.0.1:5080`."""
    return f"http://{request.host}"


class Authorizer:
    """Checks for the /v2 views; ends a request that is not allowed by `abort`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def challenge(self, scope: str | None, error: str | None = None) -> str:
        """A challenge whose realm ends with a slash; a push gets a scope without actions (docs/facts/swr.md §6)."""
        slash = "/" if self._context.knobs.on("realm_slash") else ""
        parts = [f'Bearer realm="{own_url()}{TOKEN_PATH}{slash}"', 'service="dockyard"']
        if scope:
            parts.append(f'scope="{scope}"')
        if error:
            parts.append(f'error="{error}"')
        return ",".join(parts)

    def _scope(self, repository: str, action: str) -> str:
        if action == "pull":
            return f"repository:{repository}:pull"
        actions = "pull,push" if self._context.knobs.on("push_challenge_actions") else ""
        return f"repository:{repository}:{actions}"

    def unauthorized(self, scope: str | None, error: str | None = None, status: int = 401) -> None:
        headers = {"WWW-Authenticate": self.challenge(scope, error)} if status == 401 else {}
        code, message = ("UNAUTHORIZED", "authentication required") if status == 401 else ("DENIED", NO_PERMISSION)
        abort(registry_error(status, code, message, headers))

    def claims(self) -> Claims | None:
        """The claims of a valid Authorization header; None without one."""
        header = request.headers.get("Authorization", "")
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return self._context.signer.open_token(value.strip())
        if self._context.knobs.on("basic_on_v2"):
            account = self._context.accounts.log_in(header, plain_secret=False)
            return Claims(account.access_key) if account else None
        return None

    def account(self) -> Account | None:
        """The account in the credentials of the request, verified or not: the request counts towards the rate of its
        tenant."""
        header = request.headers.get("Authorization", "")
        claimed = self._context.accounts.claimed(header)
        if claimed:
            return claimed
        claims = self.claims()
        return self._context.accounts.get(claims.access_key) if claims else None

    def allow(self, repository: str, action: str, *, scoped: bool = True) -> None:
        """Ends the request unless its token covers `action` on the repository and the organization exists.

        Without `scoped`, only the permission of the account is checked.
        """
        scope, claims = self._scope(repository, action), self.claims()
        if claims is None:
            sent = "Authorization" in request.headers
            return self.unauthorized(scope, "invalid_token" if sent else None)
        if len(repository) > 193 or not REPOSITORY.fullmatch(repository):
            abort(registry_error(400, "NAME_INVALID", "invalid repository name"))
        organization = self._context.store.organization(repository.partition("/")[0])
        if organization is None:
            abort(denied(NO_ORGANIZATION))
        basic = not claims.access and self._context.knobs.on("basic_on_v2")
        granted = claims.access.get(repository, frozenset())
        # Clients that delete a tag use a push token (docs/facts/swr.md §6).
        pushing = action == "delete" and self._context.knobs.text("delete_actions") == "push"
        accepted = {action, "*"} | ({"push"} if pushing else set())
        if scoped and not basic and not accepted & granted:
            return self.unauthorized(scope, "insufficient_scope", int(self._context.knobs.text("wrong_scope_status")))
        account = self._context.accounts.get(claims.access_key)
        if account is None or permission(account, organization) < NEEDED[action]:
            abort(denied(NO_PERMISSION))
        return None
