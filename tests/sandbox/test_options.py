from __future__ import annotations

import pytest

from adapter.sandbox.options import Account, Bind, SandboxOptions
from tests.credentials import ACCESS_KEY, SECRET_KEY


def test_an_account_has_defaults() -> None:
    assert Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}") == Account(
        ACCESS_KEY, SECRET_KEY, ("eu-de",), "sandbox", "manage"
    )
    assert Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}:::read").auth == 1


def test_an_account_in_full() -> None:
    account = Account.parse(f"{ACCESS_KEY}:{SECRET_KEY}:eu-de,eu-de_team:tenant:write")
    assert (account.projects, account.tenant, account.auth) == (("eu-de", "eu-de_team"), "tenant", 3)


@pytest.mark.parametrize(
    "text",
    ["", ACCESS_KEY, f":{SECRET_KEY}", f"{ACCESS_KEY}:{SECRET_KEY}:p:t:owner", f"{ACCESS_KEY}:{SECRET_KEY}:p:t:read:x"],
)
def test_a_bad_account_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Account.parse(text)
    assert SECRET_KEY not in str(caught.value)


def test_secrets_stay_out_of_reprs() -> None:
    options = SandboxOptions.parse("data", accounts=[f"{ACCESS_KEY}:{SECRET_KEY}"])
    assert ACCESS_KEY in repr(options)
    assert SECRET_KEY not in repr(options)


def test_without_accounts_the_demo_account_is_known() -> None:
    [account] = SandboxOptions.parse("data").accounts
    assert (account.access_key, account.projects) == ("AKEXAMPLE0000000001", ("eu-de",))


@pytest.mark.parametrize("text", ["5000", ":5000", "host:", "host:0", "host:65536", "host:x", "host:²"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Bind.parse(text)


def test_the_port_tells_the_origins_apart() -> None:
    with pytest.raises(ValueError, match="different ports"):
        SandboxOptions.parse("data", registry_bind="127.0.0.1:5000", api_bind="127.0.0.2:5000")


def test_an_access_key_may_stand_once() -> None:
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
def test_a_wildcard_address_is_named_as_the_caller_named_us(bind: str, called_as: str, url: str) -> None:
    assert Bind.parse(bind).url(called_as) == url
