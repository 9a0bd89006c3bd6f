"""Every setting in one table: name, default, parser, help, and whether it is a secret.

A setting `NAME` comes from the environment variable `SWR_ADAPTER_NAME`, or from the file that `SWR_ADAPTER_NAME_FILE`
names. An unknown variable with the prefix, or a bad value, is a `SettingsError` whose one line names the variable.
The table is the dataclass `Settings`: its fields feed loading, `settings` and `--help`, and docs/settings.md.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapter import certificate, values
from adapter.values import Bind, RegionHosts

PREFIX: Final = "SWR_ADAPTER_"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SPARE_THREADS: Final = 456
"""Threads of the contract door that no transfer gets: Harbor lists a hundred repositories at once, for one rule."""
CALLS: Final = 272
"""How many of them requests with credentials may take, so that the challenge without any never waits for SWR. Three
quarters are for anybody: enough for two Harbors that list a hundred repositories each at midnight."""
CHECKS: Final = 16
"""How many of them checks of credentials may take, besides `CALLS`."""
UNPROVEN_CALLS: Final = 136
"""How many of them requests may take whose credentials SWR has not accepted lately, in place of `CALLS`. A hundred
lists at once may be the first that a replica sees of a credential, and one gets three quarters of these."""
UNPROVEN_CHECKS: Final = 8
"""The same in place of `CHECKS`."""
UNPROVEN_CREDENTIALS: Final = 32
"""How many such credentials are asked about at once."""


_SERVICE_LINK: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$")
"""What Kubernetes puts into every container for a Service whose name begins with `swr-adapter`."""


class SettingsError(Exception):
    """A setting is unknown or its value is bad; the text is one line that names the variable."""


def _setting(
    default: Any,
    parse: Callable[[str], Any],
    text: str,
    *,
    form: str,
    secret: bool = False,
    later: bool = False,
    quoted: bool = True,
) -> Any:
    """`later`: accepted, so that a deployment can be written once, but without effect in this version. `quoted`: a bad
    value may stand in the message about it."""
    row = {"parse": parse, "help": text, "secret": secret, "form": form, "later": later, "quoted": quoted}
    return dataclasses.field(default_factory=lambda: default, metadata=row, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values in force; see the module's text for how they are set."""

    contract_bind: Bind = _setting(
        Bind("0.0.0.0", 8080), values.bind, "Where Harbor's core and jobservice reach the adapter.", form="host:port"
    )
    provider_bind: Bind = _setting(
        Bind("0.0.0.0", 8081),
        values.bind,
        "Where Harbor's own nginx or ingress reaches the provider door.",
        form="host:port",
    )
    operations_bind: Bind = _setting(
        Bind("0.0.0.0", 8082), values.bind, "Probes; not for Harbor's users.", form="host:port"
    )
    public_url: str | None = _setting(
        None,
        values.url,
        "How Harbor reaches the contract door. Requests that come to its host get absolute upload locations.",
        form="URL",
    )
    regions: Mapping[str, RegionHosts] = _setting(
        {},
        values.regions,
        'Regions to add or replace, as JSON: {"eu-de": {"registry": "https://...", "api": "https://..."}}. '
        "`objects` may list the only hosts that blobs are fetched from.",
        form="JSON",
    )
    allow_http: bool = _setting(
        False, values.boolean, "Allow plain http:// for regions whose hosts are not loopback.", form="true or false"
    )
    ca_bundle: Path | None = _setting(
        None,
        values.certificates,
        "CA certificates (PEM) that are trusted for SWR besides the public ones.",
        form="file",
    )
    proxy: str | None = _setting(
        None, values.url, "HTTP proxy towards SWR; without it HTTPS_PROXY and NO_PROXY decide.", secret=True, form="URL"
    )
    signing: str = _setting(
        "sdk",
        values.choice("sdk", "aws4"),
        "How calls of the management API are signed: OTC's SDK-HMAC-SHA256, or AWS Signature Version 4 for gateways "
        "that take it.",
        form="sdk or aws4",
    )
    requests_per_second: float = _setting(
        20.0, values.number(0), "Rate limit of a tenant's requests to SWR; 0 means no limit.", form="number"
    )
    transfers_per_tenant: int = _setting(
        20,
        values.integer(0),
        "Transfers of a tenant at once (OTC documents 20 layers); 0 means no limit.",
        form="number",
    )
    tenants: Mapping[str, tuple[str, ...]] = _setting(
        {},
        values.tenants,
        'Access keys that share the limits of one tenant, as JSON: {"<tenant>": ["<AK>", "<AK>"]}. '
        "Any other access key is a tenant of its own.",
        form="JSON",
        quoted=False,
    )
    create_namespaces: bool = _setting(
        True, values.boolean, "Create an organization that is missing when Harbor asks for it.", form="true or false"
    )
    verify_uploads: bool = _setting(
        True,
        values.boolean,
        "Check the SHA-256 of an upload here before SWR gets its last block.",
        form="true or false",
    )
    max_layer_bytes: int = _setting(
        10 * 2**30,
        values.integer(0),
        "Largest layer that SWR takes (10 GB by OTC's documentation); 0 means no limit.",
        form="bytes",
    )
    blob_redirects: str = _setting(
        "follow",
        values.choice("follow", "pass"),
        "Blob downloads: stream from SWR's object store, or hand its address to the client.",
        form="follow or pass",
    )
    oci_index: str = _setting(
        "translate",
        values.choice("translate", "refuse"),
        "OCI images that SWR refuses for their type, an index of BuildKit's above all: store them in Docker's formats, "
        "or refuse them with a sentence.",
        form="translate or refuse",
    )
    mount: str = _setting(
        "auto",
        values.choice("auto", "copy", "never"),
        "Layers that another repository of SWR already holds: let SWR mount them as long as it does, have the adapter "
        "copy those that it does not mount, or have Harbor send them all.",
        form="auto, copy or never",
    )
    harbor_core_url: str = _setting(
        "http://core:8080", values.url, "Harbor's core, behind the provider door.", form="URL"
    )
    core_ca_bundle: Path | None = _setting(
        None, values.certificates, "CA certificates (PEM) that Harbor's core is verified with.", form="file"
    )
    carrier: str = _setting(
        "harbor",
        values.choice("harbor", "docker-registry"),
        "The stock provider type that Harbor stores for an SWR endpoint.",
        form="harbor or docker-registry",
    )
    translate_for: str = _setting(
        "browser",
        values.choice("browser", "all"),
        "Who sees the provider's name: the portal alone, or every API client.",
        form="browser or all",
    )
    state_url: str = _setting(
        "memory://",
        values.state_url,
        "Where replicas share the rate limit and what else saves work: redis://[user:password@]host[:port][/number]"
        ", or rediss:// for TLS.",
        secret=True,
        form="URL",
    )
    threads: int = _setting(
        32,
        values.integer(4),
        "Blobs in transfer at once; beyond, an upload or download is told to come again. All else has its own threads.",
        form="number",
    )
    client_idle_timeout: float = _setting(
        60.0,
        values.number(1),
        "Seconds after which a client that sends nothing is dropped.",
        form="seconds",
    )
    grace_period: float = _setting(
        60.0, values.number(1), "Seconds that running transfers get after SIGTERM.", form="seconds"
    )
    tls_certificate: Path | None = _setting(
        None,
        values.file,
        "Certificate chain (PEM) of the contract door; without one it speaks plain HTTP.",
        form="file",
    )
    tls_key: Path | None = _setting(None, values.file, "Private key (PEM) of the contract door.", form="file")
    log_format: str = _setting("text", values.choice("text", "json"), "Form of the log.", form="text or json")
    log_level: str = _setting(
        "info",
        values.choice("debug", "info", "warning", "error"),
        "Least severe line that is logged.",
        form="debug, info, warning or error",
    )
    record: Path | None = _setting(
        None, Path, "Directory that recordings of both wires are written to.", form="directory", later=True
    )


@dataclass(frozen=True)
class Row:
    """A line of the table, for help, documentation and loading."""

    field: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    form: str
    secret: bool
    later: bool
    quoted: bool

    def shown(self, value: Any) -> str:
        """A value as a person may see it."""
        if value is None or (isinstance(value, Mapping) and not value):
            return "(not set)"
        if self.secret and value != self.default:
            return "(set, hidden)"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return f"{value:g}"
        return ", ".join(sorted(value)) if isinstance(value, Mapping) else str(value)


def table() -> Iterator[Row]:
    """Every setting, in the order of documentation."""
    defaults = Settings()
    for each in dataclasses.fields(Settings):
        yield Row(each.name, PREFIX + each.name.upper(), getattr(defaults, each.name), **each.metadata)


def _raw(row: Row, environ: Mapping[str, str]) -> str | None:
    """The text of one setting; an empty variable counts as not set, as compose files leave it."""
    value, file = environ.get(row.variable), environ.get(row.variable + "_FILE")
    if value and file:
        raise SettingsError(f"{row.variable} and {row.variable}_FILE are both set: keep one")
    if not file:
        return value or None
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{row.variable}_FILE: cannot read {file}: {reason}") from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [variable for row in table() for variable in (row.variable, row.variable + "_FILE")]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.search(name):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; {near[0]} is near" if near else "; `python -m adapter settings` lists them"
            raise SettingsError(f"{name}: there is no such setting{hint}")


def _refuse_contradictions(settings: Settings) -> None:
    ports = [settings.contract_bind.port, settings.provider_bind.port, settings.operations_bind.port]
    if len(set(ports)) < len(ports):
        raise SettingsError(f"{PREFIX}CONTRACT_BIND, PROVIDER_BIND and OPERATIONS_BIND need a port each")
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY go together: one is missing")
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            certificate.load(settings.tls_certificate, settings.tls_key)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY: {error}") from None
        if settings.public_url is not None and urlsplit(settings.public_url).scheme == "http":
            raise SettingsError(
                f"{PREFIX}PUBLIC_URL starts with http, but the contract port speaks TLS: start it with https, or "
                f"remove {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY"
            )
    for region, hosts in settings.regions.items():
        for origin in filter(None, (hosts.registry, hosts.api)):
            parts = urlsplit(origin)
            if parts.scheme == "http" and parts.hostname not in LOOPBACK and not settings.allow_http:
                raise SettingsError(
                    f"{PREFIX}REGIONS: {region} uses plain http for {parts.hostname}; "
                    f"https is wanted, or {PREFIX}ALLOW_HTTP=true"
                )


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment. Raises `SettingsError`."""
    _refuse_unknown(environ)
    values: dict[str, Any] = {}
    for row in table():
        raw = _raw(row, environ)
        if raw is None:
            continue
        try:
            values[row.field] = row.parse(raw)
        except ValueError as error:
            # What a parser says of a secret may quote it.
            value = f" '{raw}'" if row.quoted else ""
            told = f": a {row.form} is wanted" if row.secret else f"{value}: {_reason(error)}"
            raise SettingsError(f"{row.variable}: bad value{told}") from None
    settings = Settings(**values)
    _refuse_contradictions(settings)
    return settings


def _reason(error: ValueError) -> str:
    """One line; Python's own words for a failed `int()` or JSON say too little or too much."""
    if isinstance(error, json.JSONDecodeError):
        return f"no valid JSON at character {error.pos}"
    text = str(error).splitlines()[0]
    return "a number is wanted" if "convert" in text or "invalid literal" in text else text
