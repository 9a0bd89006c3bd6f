from __future__ import annotations

from pathlib import Path

import pytest

from adapter.sandbox.accounts import basic_pair, login_key, permission
from adapter.sandbox.context import Context
from adapter.sandbox.options import Account, SandboxOptions
from adapter.sandbox.organizations import Organizations, RejectedError
from adapter.sandbox.store import Organization
from tests.credentials import ACCESS_KEY, SECRET_KEY


def test_login_key_is_derived_as_documented() -> None:
    expected = "f004a0445bcaf37d946c882a22e1e5f9007ea3513c293aa2d3360af05b8875cd"
    assert login_key("AccessKey", "SecretKey") == expected


@pytest.mark.parametrize(("role", "auth"), [("read", 1), ("write", 3), ("manage", 7)])
def test_role_applies_in_organizations_of_the_tenant(role: str, auth: int) -> None:
    account = Account(ACCESS_KEY, SECRET_KEY, tenant="mine", role=role)
    assert permission(account, Organization("a", "mine", "x")) == auth
    assert permission(account, Organization("a", "theirs", "x")) == 0
    assert permission(account, Organization("a", "mine", "x", {ACCESS_KEY: 1})) == 1
    assert permission(account, Organization("a", "theirs", "x", {ACCESS_KEY: 3})) == 3


@pytest.mark.parametrize(("role", "may"), [("read", False), ("write", False), ("manage", True)])
def test_only_manage_role_can_create(tmp_path: Path, role: str, may: bool) -> None:
    options = SandboxOptions.parse(tmp_path, accounts=[f"{ACCESS_KEY}:{SECRET_KEY}:::{role}"])
    context = Context.create(options)
    try:
        Organizations(context).create(b'{"namespace":"fresh"}', options.accounts[0])
    except RejectedError as refusal:
        assert refusal.code == "SVCSTG.SWR.4039002"
    assert bool(context.store.organizations()) == may


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic eA==", "Bearer eDp5", "Basic /w=="])
def test_invalid_basic_header_is_none(header: str) -> None:
    assert basic_pair(header) is None
