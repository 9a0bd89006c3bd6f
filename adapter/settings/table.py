"""The table of all settings: the dataclass `Settings`, whose fields feed loading, the command `settings` and
docs/settings.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapter.settings import values
from adapter.settings.row import Group, Row, setting
from adapter.settings.values import Bind, RegionHosts

PREFIX: Final = "SWR_ADAPTER_"
SPARE_THREADS: Final = 456
"""Threads of the contract listener besides those for transfers: Harbor lists a hundred repositories at once for one
replication rule."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values in force."""

    public_url: str | None = setting(
        None,
        values.url,
        "URL of the contract port, as Harbor reaches it.",
        "Requests to its host get absolute upload locations, all others relative ones. "
        "Without it the provider proxy adds no provider to Harbor.",
        form="URL",
        group=Group.ADDRESSES,
        common=True,
    )
    contract_bind: Bind = setting(
        Bind("0.0.0.0", 8080),
        values.bind,
        "Listen address of the contract port, for Harbor core and jobservice.",
        form="host:port",
        group=Group.ADDRESSES,
    )
    provider_bind: Bind = setting(
        Bind("0.0.0.0", 8081),
        values.bind,
        "Listen address of the provider proxy, for Harbor's nginx or ingress.",
        form="host:port",
        group=Group.ADDRESSES,
    )
    operations_bind: Bind = setting(
        Bind("0.0.0.0", 8082),
        values.bind,
        "Listen address for health probes.",
        "Do not expose it to users.",
        form="host:port",
        group=Group.ADDRESSES,
    )
    tls_certificate: Path | None = setting(
        None,
        values.file,
        "TLS certificate chain (PEM) of the contract port.",
        "Without it the port serves plain HTTP.",
        form="file",
        group=Group.ADDRESSES,
    )
    tls_key: Path | None = setting(
        None,
        values.file,
        "Unencrypted private key (PEM) for SWR_ADAPTER_TLS_CERTIFICATE.",
        form="file",
        group=Group.ADDRESSES,
    )
    regions: Mapping[str, RegionHosts] = setting(
        {},
        values.regions,
        "Regions to add or replace, as JSON.",
        'Example: {"eu-de": {"registry": "https://...", "api": "https://...", "objects": ["..."]}}. '
        "objects: the only object-store hosts that blobs may be downloaded from.",
        form="JSON",
        group=Group.SWR,
        common=True,
    )
    allow_http: bool = setting(
        False,
        values.boolean,
        "Allow plain http:// for regions whose hosts are not loopback.",
        form="true or false",
        group=Group.SWR,
    )
    ca_bundle: Path | None = setting(
        None,
        values.certificates,
        "CA certificates (PEM) to trust for SWR in addition to the public CAs.",
        form="file",
        group=Group.SWR,
    )
    proxy: str | None = setting(
        None,
        values.url,
        "HTTP proxy for connections to SWR.",
        "Without it HTTPS_PROXY and NO_PROXY apply.",
        form="URL",
        group=Group.SWR,
        secret=True,
    )
    signing: str = setting(
        "sdk",
        values.choice("sdk", "aws4"),
        "Signature of requests to the management API.",
        "sdk: SDK-HMAC-SHA256 of OTC. aws4: AWS Signature Version 4, for gateways that accept it.",
        form="sdk or aws4",
        group=Group.SWR,
    )
    create_namespaces: bool = setting(
        True,
        values.boolean,
        "Create a missing SWR organization when Harbor requests it.",
        form="true or false",
        group=Group.IMAGES,
    )
    verify_uploads: bool = setting(
        True,
        values.boolean,
        "Verify the SHA-256 of an upload before its last block is sent to SWR.",
        form="true or false",
        group=Group.IMAGES,
    )
    max_layer_bytes: int = setting(
        10 * 2**30,
        values.integer(0),
        "Maximum layer size; larger layers are rejected. 0 means no limit.",
        "According to OTC's documentation SWR accepts 10 GB.",
        form="bytes",
        group=Group.IMAGES,
    )
    blob_redirects: str = setting(
        "follow",
        values.choice("follow", "pass"),
        "Source of blob downloads.",
        "follow: stream blobs from the SWR object store. pass: redirect the client to the object store.",
        form="follow or pass",
        group=Group.IMAGES,
    )
    oci_index: str = setting(
        "translate",
        values.choice("translate", "refuse"),
        "Handling of OCI images and indexes whose type SWR rejects.",
        "translate: store them in Docker format. refuse: reject them with an error.",
        form="translate or refuse",
        group=Group.IMAGES,
    )
    mount: str = setting(
        "auto",
        values.choice("auto", "copy", "never"),
        "Handling of layers that another SWR repository already has.",
        "auto: mount layers while SWR supports it. copy: the adapter copies layers that SWR does not mount. "
        "never: Harbor uploads all layers.",
        form="auto, copy or never",
        group=Group.IMAGES,
    )
    harbor_core_url: str = setting(
        "http://core:8080",
        values.url,
        "URL of Harbor core, to which the provider proxy forwards requests.",
        form="URL",
        group=Group.PROVIDER,
        common=True,
    )
    core_ca_bundle: Path | None = setting(
        None,
        values.certificates,
        "CA certificates (PEM) to verify Harbor core with.",
        form="file",
        group=Group.PROVIDER,
    )
    carrier: str = setting(
        "harbor",
        values.choice("harbor", "docker-registry"),
        "Built-in provider type that Harbor stores for an SWR endpoint.",
        form="harbor or docker-registry",
        group=Group.PROVIDER,
    )
    translate_for: str = setting(
        "browser",
        values.choice("browser", "all"),
        "Clients that see the provider name of SWR.",
        "browser: sessions of the Harbor portal. all: every API client.",
        form="browser or all",
        group=Group.PROVIDER,
    )
    threads: int = setting(
        32,
        values.integer(4),
        "Maximum number of concurrent blob transfers.",
        "A further transfer gets 503, and Harbor retries it. Other requests have threads of their own.",
        form="number",
        group=Group.LIMITS,
    )
    transfers_per_tenant: int = setting(
        20,
        values.integer(0),
        "Maximum number of concurrent blob transfers per tenant; 0 means no limit.",
        "According to OTC's documentation SWR accepts 20 layers at once.",
        form="number",
        group=Group.LIMITS,
    )
    requests_per_second: float = setting(
        20.0,
        values.number(0),
        "Maximum requests per second to SWR, per tenant; 0 means no limit.",
        form="number",
        group=Group.LIMITS,
    )
    tenants: Mapping[str, tuple[str, ...]] = setting(
        {},
        values.tenants,
        "Access keys that share the limits of one tenant, as JSON.",
        'Example: {"<tenant>": ["<AK>", "<AK>"]}. Any other access key is a tenant of its own.',
        form="JSON",
        group=Group.LIMITS,
        confidential=True,
    )
    state_url: str = setting(
        "memory://",
        values.state_url,
        "Store for the rate limit and the caches that replicas share.",
        "redis://[user:password@]host[:port][/number], rediss://... for TLS, or memory:// for a single replica.",
        form="URL",
        group=Group.LIMITS,
        secret=True,
    )
    client_idle_timeout: float = setting(
        60.0,
        values.number(1),
        "Seconds before an idle client is disconnected.",
        form="seconds",
        group=Group.PROCESS,
    )
    grace_period: float = setting(
        60.0,
        values.number(1),
        "Seconds that running transfers have to finish after SIGTERM.",
        form="seconds",
        group=Group.PROCESS,
    )
    log_format: str = setting(
        "text", values.choice("text", "json"), "Log format.", form="text or json", group=Group.PROCESS
    )
    log_level: str = setting(
        "info",
        values.choice("debug", "info", "warning", "error"),
        "Minimum log level.",
        form="debug, info, warning or error",
        group=Group.PROCESS,
    )
    record: Path | None = setting(
        None,
        Path,
        "Directory for recordings of the traffic with Harbor and SWR.",
        form="directory",
        group=Group.PROCESS,
        later=True,
    )


def table() -> Iterator[Row]:
    """Every setting, in the order of documentation."""
    defaults = Settings()
    for each in dataclasses.fields(Settings):
        yield Row(
            field=each.name, variable=PREFIX + each.name.upper(), default=getattr(defaults, each.name), **each.metadata
        )
