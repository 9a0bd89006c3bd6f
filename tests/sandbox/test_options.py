from __future__ import annotations

import pytest

from adapter.sandbox.options import Account, Bind, SandboxOptions
from tests.credentials import ACCESS_KEY, SECRET_KEY


def test_account_has_defaults() -> None:
    assert Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}") == Account(
        ACCESS_KEY, SECRET_KEY, ("eu-de",), "sandbox", "manage"
    )
    assert Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}:::read").auth == 1


def test_account_with_all_parts() -> None:
    account = Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}:eu-de,eu-de_team:tenant:write")
    assert (account.projects, account.tenant, account.auth) == (("eu-de", "eu-de_team"), "tenant", 3)


@pytest.mark.parametrize(
    "text",
    ["", ACCESS_KEY, f":{SECRET_KEY}", f"{ACCESS_KEY}:{SECRET_KEY}:p:t:owner", f"{ACCESS_KEY}:{SECRET_KEY}:p:t:read:x"],
)
def test_invalid_account_is_rejected_without_quoting_the_secret(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Account.parse(text)
    assert SECRET_KEY not in str(caught.value)


def test_repr_contains_no_secret() -> None:
    options = SandboxOptions.parse("data", accounts=[f"{ACCESS_KEY}:{SECRET_KEY}"])
    assert ACCESS_KEY in repr(options)
    assert SECRET_KEY not in repr(options)


def test_default_account_is_that_of_the_demo() -> None:
    [account] = SandboxOptions.parse("data").accounts
    assert (account.access_key, account.projects) == ("AKEXAMPLE0000000001", ("eu-de",))


@pytest.mark.parametrize("text", ["5000", ":5000", "host:", "host:0", "host:65536", "host:x", "host:²"])
def test_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Bind.parse(text)


def test_ports_must_differ() -> None:
    with pytest.raises(ValueError, match="different ports"):
        SandboxOptions.parse("data", registry_bind="127.0.0.1:5000", api_bind="127.0.0.2:5000")


def test_access_key_must_be_unique() -> None:
    with pytest.raises(ValueError, match="two accounts"):
        SandboxOptions.parse("data", accounts=[f"{ACCESS_KEY}:{SECRET_KEY}", f"{ACCESS_KEY}:{SECRET_KEY}"])


@pytest.mark.parametrize(
    ("bind", "called_as", "url"),
    [
        ("127.0.0.1:5102", "sandbox:5100", "http://127.0.0.1:5102"),
        ("0.0.0.0:5102", "sandbox:5100", "http://sandbox:5102"),
        ("0.0.0.0:5102", "sandbox", "http://sandbox:5102"),
        ("[::]:5102", "[::1]:5100", "http://[::1]:5102"),
        ("0.0.0.0:5102", "", "http://127.0.0.1:5102"),
    ],
)
def test_url_of_a_wildcard_address_uses_the_host_header(bind: str, called_as: str, url: str) -> None:
    assert Bind.parse(bind).url(called_as) == url
