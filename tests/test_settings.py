from __future__ import annotations

from pathlib import Path

import pytest

from adapter import settings
from adapter.settings import Bind, RegionHosts, Settings, SettingsError
from tests.certificates import Certificate


def load(**variables: str) -> Settings:
    return settings.load({"SWR_ADAPTER_" + name: value for name, value in variables.items()})


def message(**variables: str) -> str:
    """The message about invalid settings."""
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_table_defaults() -> None:
    """The default that the table prints is itself a valid value."""
    assert load() == Settings()
    assert settings.load({"PATH": "/bin", "SWR_ADAPTERS": "not ours"}) == Settings()
    for row in settings.table():
        shown = row.shown(row.default)
        if shown != "(not set)":
            assert getattr(load(**{row.variable.removeprefix("SWR_ADAPTER_"): shown}), row.field) == row.default


def test_table_help_is_short_and_three_settings_are_common() -> None:
    rows = list(settings.table())
    assert [row.variable for row in rows if len(row.help.split()) > 15] == []
    assert [row.field for row in rows if row.common] == ["public_url", "regions", "harbor_core_url"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("CONTRACT_BIND", "127.0.0.1:80", Bind("127.0.0.1", 80)),
        ("CONTRACT_BIND", "[::]:8443", Bind("::", 8443)),
        ("PUBLIC_URL", "https://swr.example/", "https://swr.example"),
        ("VERIFY_UPLOADS", "No", False),
        ("SIGNING", "AWS4", "aws4"),
        ("REQUESTS_PER_SECOND", "0.5", 0.5),
        ("MAX_LAYER_BYTES", "0", 0),
        ("PROXY", "", None),
        ("RECORD", "/var/record", Path("/var/record")),
        ("TENANTS", '{"acme": ["AKA", "AKB"], "other": []}', {"acme": ("AKA", "AKB"), "other": ()}),
        (
            "REGIONS",
            '{"eu-xx": {"registry": "https://r.example", "api": "https://a.example:8443", "objects": ["o.example"]}}',
            {"eu-xx": RegionHosts("https://r.example", "https://a.example:8443", ("o.example",))},
        ),
        ("REGIONS", '{"a": {"registry": "http://localhost:5000"}}', {"a": RegionHosts("http://localhost:5000")}),
        *(
            ("STATE_URL", url, url)
            for url in (
                "redis://:secret@redis:6379/3",
                "redis://redis",
                "rediss://user:p%40ss@[::1]:6380/?ssl_ca_certs=/ca.pem",
            )
        ),
    ],
)
def test_load_parses_value(name: str, text: str, value: object) -> None:
    assert getattr(load(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        *(("CONTRACT_BIND", text, "expected host:port") for text in ("8080", "0.0.0.0:0", "0.0.0.0:٨")),
        *(
            ("PUBLIC_URL", text, "expected http://host or https://host, without a query")
            for text in ("swr.example", "https://swr.example/?a=b", "http://h:99999", "http://h:abc")
        ),
        ("VERIFY_UPLOADS", "maybe", "expected true or false"),
        ("SIGNING", "aws", "expected one of sdk, aws4"),
        *(("REQUESTS_PER_SECOND", text, "expected a number, 0 or greater") for text in ("-1", "nan", "many")),
        *(("THREADS", text, "expected an integer, 4 or greater") for text in ("1", "4.5", "none")),
        ("CA_BUNDLE", "/does/not/exist", "no such file"),
        ("CA_BUNDLE", __file__, "no PEM"),
        ("REGIONS", '{"eu-de"', "invalid JSON at character 8"),
        ("REGIONS", "[]", 'expected {"<region>": '),
        ("REGIONS", '{"eu-de": {"api": "https://a.example"}}', "missing key registry in region eu-de"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example", "host": "b"}}', "unknown key host in region eu-de"),
        ("REGIONS", '{"eu-de": {"registry": 5}}', "expected an origin"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example/v2"}}', "expected an origin"),
        ("REGIONS", '{"eu-de": {"registry": "https://u:p@a.example"}}', "expected an origin"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example", "objects": "x"}}', "expected a list of host names"),
        ("REGIONS", '{"eu-de": {"registry": "http://swr.example"}}', "SWR_ADAPTER_ALLOW_HTTP"),
        ("REGIONS", '{"eu-de": {"registry": "https://swr.example", "api": "http://swr.example"}}', "in region eu-de"),
        ("OPERATIONS_BIND", "127.0.0.1:8080", "set three different ports"),
        ("TLS_KEY", __file__, "set SWR_ADAPTER_TLS_CERTIFICATE too, or neither"),
    ],
)
def test_load_rejects_invalid_value(name: str, text: str, expected: str) -> None:
    line = message(**{name: text})
    assert f"SWR_ADAPTER_{name}" in line
    assert expected in line


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PROXY", "user:CANARY", "expected http://host"),
        ("PROXY", "http://u:CANARY@h\u2100x", "expected http://host"),
        ("PROXY", "http://u:CANARY@h:abc", "expected http://host"),
        (
            "TENANTS",
            '{"a": ["CANARY"], "b": ["AK", "CANARY"]}',
            "entry 2 of tenant 'b' is already listed in tenant 'a'",
        ),
        ("TENANTS", '{"a": ["CANARY", "CANARY"]}', "already listed in tenant 'a'"),
        ("TENANTS", '{"a": ["CANARY AK"]}', "entry 1 of tenant 'a' is not a valid access key"),
        ("TENANTS", '{"a": [7, "CANARY"]}', "entry 1 of tenant 'a' is not a valid access key"),
        ("TENANTS", '{"a": "CANARY"}', 'expected {"<tenant>": '),
        ("TENANTS", '["CANARY"]', 'expected {"<tenant>": '),
        ("TENANTS", '{"a": ["CANARY"]', "invalid JSON"),
        *(
            ("STATE_URL", url, "expected memory:// or redis://")
            for url in (
                *("http://CANARY", "memory://CANARY", "redis://", "redis:///3", "CANARY", "unix:///run/redis.sock"),
                *("redis://:CANARY@redis:0", "redis://redis:99999", "redis://redis/three", "redis://redis/1/2"),
                *("redis://redis?socket_timeout=60", "redis://redis?ssl_ca_certs=/ca.pem"),
                *("rediss://redis?ssl_cert_reqs=none", "redis://redis#0"),
            )
        ),
    ],
)
def test_load_quotes_no_secret(name: str, text: str, expected: str) -> None:
    line = message(**{name: text})
    assert line.startswith(f"invalid SWR_ADAPTER_{name}: ")
    assert expected in line
    assert "CANARY" not in line


def test_settings_show_no_secret() -> None:
    values = load(PROXY="http://user:CANARY@proxy.example", STATE_URL="redis://:CANARY@redis", TENANTS='{"a": ["AK"]}')
    shown = {row.field: row.shown(getattr(values, row.field)) for row in settings.table()}
    assert "CANARY" not in f"{shown} {values!r}"
    assert shown["tenants"] == "a"


def test_allow_http_allows_plain_http() -> None:
    regions = '{"eu-de": {"registry": "http://swr.example"}}'
    assert load(REGIONS=regions, ALLOW_HTTP="true").regions["eu-de"].registry == "http://swr.example"


def test_load_rejects_unknown_variable() -> None:
    assert message(REGION="eu-de") == "unknown setting SWR_ADAPTER_REGION: did you mean SWR_ADAPTER_REGIONS?"
    assert "unknown setting SWR_ADAPTER_XYZZY: run `python -m adapter settings`" in message(XYZZY="1")


@pytest.mark.parametrize(
    "name",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"],
)
def test_load_ignores_kubernetes_service_variables(name: str) -> None:
    assert load(**{name: "x", f"CONTRACT_{name}": "x"}) == Settings()


def test_load_reads_value_from_file(tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    file.write_text("http://proxy.example:3128\n")
    assert load(PROXY_FILE=str(file)).proxy == "http://proxy.example:3128"
    assert "both set" in message(PROXY_FILE=str(file), PROXY="http://other.example")
    missing = tmp_path / "missing"
    assert message(PROXY_FILE=str(missing)).startswith(f"cannot read {missing} (SWR_ADAPTER_PROXY_FILE): ")
    file.write_bytes(b"\xff\xfe\x00")
    assert "not valid UTF-8" in message(PROXY_FILE=str(file))


def test_tls_requires_matching_files_and_https_public_url(tmp_path: Path) -> None:
    """With http:// absolute upload locations would lead to the TLS port without TLS."""
    certificate = Certificate(tmp_path)
    both = {"TLS_CERTIFICATE": str(certificate.chain), "TLS_KEY": str(certificate.key)}
    assert "PUBLIC_URL starts with http://," in message(**both, PUBLIC_URL="http://swr.internal:8080")
    assert load(**both, PUBLIC_URL="https://swr.internal:8080").public_url == "https://swr.internal:8080"
    assert load(**both).public_url is None
    assert "expected a PEM certificate chain" in message(TLS_CERTIFICATE=both["TLS_KEY"], TLS_KEY=both["TLS_KEY"])
    # A reverse proxy in front may serve TLS.
    assert load(PUBLIC_URL="https://swr.internal").tls_certificate is None
