from __future__ import annotations

from pathlib import Path

import pytest

from adapter import settings
from adapter.settings import Settings, SettingsError
from adapter.values import Bind, RegionHosts
from tests.certificates import Certificate

DESIGNED = """
REGIONS CONTRACT_BIND PROVIDER_BIND OPERATIONS_BIND PUBLIC_URL VERIFY_UPLOADS HARBOR_CORE_URL CARRIER
TRANSLATE_FOR SIGNING CREATE_NAMESPACES OCI_INDEX MOUNT BLOB_REDIRECTS REQUESTS_PER_SECOND MAX_LAYER_BYTES
CA_BUNDLE CORE_CA_BUNDLE PROXY STATE_URL THREADS CLIENT_IDLE_TIMEOUT TLS_CERTIFICATE TLS_KEY LOG_FORMAT
LOG_LEVEL RECORD ALLOW_HTTP
"""


def load(**variables: str) -> Settings:
    return settings.load({"SWR_ADAPTER_" + name: value for name, value in variables.items()})


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_name_is_accepted() -> None:
    assert {f"SWR_ADAPTER_{name}" for name in DESIGNED.split()} <= {row.variable for row in settings.table()}


def test_defaults_are_those_of_an_empty_environment() -> None:
    assert load() == Settings()
    assert settings.load({"PATH": "/bin", "SWR_ADAPTERS": "not ours"}) == Settings()


def test_defaults_can_be_entered() -> None:
    """What the table prints as a default is itself a valid value."""
    for row in settings.table():
        shown = row.shown(row.default)
        if shown != "(not set)":
            assert getattr(load(**{row.variable.removeprefix("SWR_ADAPTER_"): shown}), row.field) == row.default


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
        ("STATE_URL", "redis://:secret@redis:6379/3", "redis://:secret@redis:6379/3"),
        ("STATE_URL", "memory://", "memory://"),
        ("STATE_URL", "redis://redis", "redis://redis"),
        (
            "STATE_URL",
            "rediss://user:p%40ss@[::1]:6380/?ssl_ca_certs=/ca.pem",
            "rediss://user:p%40ss@[::1]:6380/?ssl_ca_certs=/ca.pem",
        ),
        ("RECORD", "/var/record", Path("/var/record")),
        (
            "REGIONS",
            '{"eu-xx": {"registry": "https://r.example", "api": "https://a.example:8443", "objects": ["o.example"]}}',
            {"eu-xx": RegionHosts("https://r.example", "https://a.example:8443", ("o.example",))},
        ),
        (
            "REGIONS",
            '{"eu-xx": {"registry": "http://localhost:5000"}}',
            {"eu-xx": RegionHosts("http://localhost:5000")},
        ),
    ],
)
def test_values_are_parsed(name: str, text: str, value: object) -> None:
    assert getattr(load(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("CONTRACT_BIND", "8080", "host:port"),
        ("CONTRACT_BIND", "0.0.0.0:0", "host:port"),
        ("CONTRACT_BIND", "0.0.0.0:٨", "host:port"),
        ("PUBLIC_URL", "swr.example", "http"),
        ("PUBLIC_URL", "https://swr.example/?a=b", "query"),
        ("VERIFY_UPLOADS", "maybe", "true or false"),
        ("SIGNING", "aws", "sdk, aws4"),
        ("REQUESTS_PER_SECOND", "-1", "at least 0"),
        ("REQUESTS_PER_SECOND", "nan", "at least 0"),
        ("REQUESTS_PER_SECOND", "many", "a number is wanted"),
        ("THREADS", "1", "at least 4"),
        ("THREADS", "1.5", "a number is wanted"),
        ("CA_BUNDLE", "/does/not/exist", "no such file"),
        *(
            ("STATE_URL", text, "a URL is wanted")
            for text in (
                "http://redis",
                "memory://redis",
                "redis://",
                "redis:///3",
                "redis://redis:0",
                "redis://redis:99999",
                "redis://redis/three",
                "redis://redis/1/2",
                "redis://redis?socket_timeout=60",
                "redis://redis?ssl_ca_certs=/ca.pem",
                "rediss://redis?ssl_cert_reqs=none",
                "redis://redis#0",
                "unix:///run/redis.sock",
                "redis",
            )
        ),
        ("PROXY", "http://u:p@h:abc", "a URL is wanted"),
        ("PUBLIC_URL", "http://h:99999", "out of range"),
        ("PUBLIC_URL", "http://h:abc", "Port could not"),
        ("CA_BUNDLE", __file__, "no PEM"),
        ("REGIONS", '{"eu-de"', "no valid JSON"),
        ("REGIONS", "[]", "is wanted"),
        ("REGIONS", '{"eu-de": {"api": "https://a.example"}}', "lacks the key registry"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example", "host": "b"}}', "unknown key host"),
        ("REGIONS", '{"eu-de": {"registry": 5}}', "must be a string"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example/v2"}}', "alone"),
        ("REGIONS", '{"eu-de": {"registry": "https://u:p@a.example"}}', "alone"),
        ("REGIONS", '{"eu-de": {"registry": "https://a.example", "objects": "x"}}', "objects"),
        ("REGIONS", '{"eu-de": {"registry": "http://swr.example"}}', "plain http"),
        ("REGIONS", '{"eu-de": {"registry": "https://swr.example", "api": "http://swr.example"}}', "plain http"),
        ("OPERATIONS_BIND", "127.0.0.1:8080", "a port each"),
        ("TLS_KEY", __file__, "go together"),
    ],
)
def test_a_bad_value_is_one_line_with_the_variable(name: str, text: str, says: str) -> None:
    line = refusal(**{name: text})
    assert f"SWR_ADAPTER_{name}" in line or name in line
    assert says in line


def test_plain_http_can_be_allowed() -> None:
    regions = '{"eu-de": {"registry": "http://swr.example"}}'
    assert load(REGIONS=regions, ALLOW_HTTP="true").regions["eu-de"].registry == "http://swr.example"


def test_an_unknown_variable_is_refused_and_the_near_one_named() -> None:
    assert "SWR_ADAPTER_REGIONS is near" in refusal(REGION="eu-de")
    assert "SWR_ADAPTER_XYZZY: there is no such setting" in refusal(XYZZY="1")


@pytest.mark.parametrize(
    "name",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"],
)
def test_what_kubernetes_adds_for_a_service_is_no_setting(name: str) -> None:
    assert load(**{name: "x", f"CONTRACT_{name}": "x"}) == Settings()


def test_an_empty_variable_is_not_set() -> None:
    assert load(PROXY="").proxy is None


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    file.write_text("http://proxy.example:3128\n")
    assert load(PROXY_FILE=str(file)).proxy == "http://proxy.example:3128"
    assert "both set" in refusal(PROXY_FILE=str(file), PROXY="http://other.example")
    assert "SWR_ADAPTER_PROXY_FILE: cannot read" in refusal(PROXY_FILE=str(tmp_path / "missing"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "it is no text" in refusal(PROXY_FILE=str(tmp_path / "binary"))


def test_secrets_are_not_shown() -> None:
    values = load(PROXY="http://user:hunter2@proxy.example", STATE_URL="redis://:hunter2@redis")
    shown = " ".join(row.shown(getattr(values, row.field)) for row in settings.table())
    assert "hunter2" not in shown
    assert "hunter2" not in refusal(PROXY="user:hunter2")
    assert "hunter2" not in refusal(PROXY="http://u:hunter2@h\u2100x")
    assert "hunter2" not in repr(values)


def test_tenants() -> None:
    found = load(TENANTS='{"acme": ["AKA", "AKB"], "other": []}')
    assert found.tenants == {"acme": ("AKA", "AKB"), "other": ()}
    (row,) = [row for row in settings.table() if row.field == "tenants"]
    assert row.shown(found.tenants) == "acme, other"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"a": ["AKCANARYX"], "b": ["AKOK", "AKCANARYX"]}', "entry 2 of tenant 'b' is already listed in tenant 'a'"),
        ('{"a": ["AKCANARYX", "AKCANARYX"]}', "already listed in tenant 'a'"),
        ('{"a": ["AKCANARYX AK"]}', "entry 1 of tenant 'a' is not a valid access key"),
        ('{"a": [7, "AKCANARYX"]}', "entry 1 of tenant 'a' is not a valid access key"),
        ('{"a": "AKCANARYX"}', "is expected"),
        ('["AKCANARYX"]', "is expected"),
        ('{"a": ["AKCANARYX"]', "no valid JSON"),
    ],
)
def test_bad_tenants_are_told_without_an_access_key(value: str, words: str) -> None:
    sentence = refusal(TENANTS=value)
    assert sentence.startswith("SWR_ADAPTER_TENANTS: bad value")
    assert words in sentence
    assert "AKCANARYX" not in sentence


def test_tls_needs_a_public_url_with_https(tmp_path: Path) -> None:
    """Absolute upload locations would lead to the same port without TLS."""
    certificate = Certificate(tmp_path)
    both = {"TLS_CERTIFICATE": str(certificate.chain), "TLS_KEY": str(certificate.key)}
    assert "PUBLIC_URL starts with http," in refusal(**both, PUBLIC_URL="http://swr.internal:8080")
    assert load(**both, PUBLIC_URL="https://swr.internal:8080").public_url == "https://swr.internal:8080"
    assert load(**both).public_url is None
    # A proxy in front may speak TLS.
    assert load(PUBLIC_URL="https://swr.internal").tls_certificate is None
