"""docker-compose.override.yml, as docker-compose reads it on top of the file of Harbor's installer.

Passes with docker-compose 1.29 (Debian bookworm) and 2.26 (Debian trixie).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import adapter
from adapter import settings
from adapter.listeners import MAX_HEADS_BYTES
from adapter.server import OPERATIONS_THREADS, PROVIDER_THREADS
from adapter.settings import SPARE_THREADS
from tests.docker.nginx import ADAPTER, INCLUDES, VARIANTS, Variant

INSTALLER = Path(__file__).parent / "harbor"
OVERRIDE = INCLUDES / "docker-compose.override.yml"
DOCKERFILE = (INCLUDES.parent / "Dockerfile").read_text()
SERVICE = "otc-swr"


def read(folder: Path, override: str | None, first_lines: str = "") -> dict[str, Any]:
    """The configuration of the installer's file with `first_lines` before it, and of the override."""
    shutil.copytree(INSTALLER, folder, dirs_exist_ok=True)
    for service in ("registryctl", "db", "core", "jobservice"):
        (folder / "common" / "config" / service).mkdir(parents=True, exist_ok=True)
        (folder / "common" / "config" / service / "env").touch()
    compose_file = folder / "docker-compose.yml"
    compose_file.write_text(first_lines + compose_file.read_text())
    if override is not None:
        (folder / OVERRIDE.name).write_text(override)
    printed = subprocess.run(["docker-compose", "config"], cwd=folder, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    configuration: dict[str, Any] = yaml.safe_load(printed.stdout)
    return configuration


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The service of the adapter."""
    found: dict[str, Any] = read(tmp_path_factory.mktemp("harbor"), OVERRIDE.read_text())["services"][SERVICE]
    return found


@pytest.mark.parametrize("first_lines", ["", "version: '2.3'\n"], ids=["now", "Harbor 2.9"])
def test_override_adds_one_service_and_one_mount(first_lines: str, tmp_path: Path) -> None:
    stock = read(tmp_path / "stock", None, first_lines)["services"]
    merged = read(tmp_path / "merged", OVERRIDE.read_text(), first_lines)
    assert not merged["networks"]["harbor"].get("external")  # version 2 leaves it out
    services = merged["services"]
    assert services.pop(SERVICE)
    mounts = [json.dumps(each) for each in services["proxy"].pop("volumes")]
    assert len(mounts) == len(stock["proxy"].pop("volumes")) + 1
    [added] = [each for each in mounts if "otc-swr" in each]
    assert f"{tmp_path}/merged/otc-swr/harbor.http.otc-swr.conf" in added
    assert "/etc/nginx/conf.d/harbor.http.otc-swr.conf" in added
    assert json.loads(json.dumps(ordered(services)).replace("/merged/", "/stock/")) == ordered(stock)


def ordered(value: Any) -> Any:
    """In one order, without empty values: docker-compose changes both when it merges."""
    if isinstance(value, dict):
        return {key: ordered(each) for key, each in value.items()} or None
    if isinstance(value, list):
        return sorted((ordered(each) for each in value), key=json.dumps)
    return value or None


def test_harbor_reaches_the_adapter_without_its_proxy(service: dict[str, Any]) -> None:
    [(network, options)] = service["networks"].items()
    assert network == "harbor"
    [alias] = options["aliases"]
    assert alias.endswith(".internal")
    assert f"{alias}:8081" == ADAPTER
    assert service["environment"]["SWR_ADAPTER_PUBLIC_URL"] == f"http://{alias}:8080"


def test_container_is_confined(service: dict[str, Any]) -> None:
    assert "ports" not in service
    assert service["read_only"] is True
    [scratch] = service["tmpfs"]
    assert re.fullmatch(r"/tmp:size=\d+m", scratch)
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


def test_service_agrees_with_the_image(service: dict[str, Any]) -> None:
    health_check = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])", DOCKERFILE, re.DOTALL)
    assert health_check is not None
    assert service["healthcheck"]["test"] == ["CMD", *json.loads(health_check[1])]
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == [service["user"]]
    assert service["image"] == f"harbor-swr-adapter:{adapter.__version__}"


def test_limits_are_sufficient(service: dict[str, Any]) -> None:
    assert service["mem_limit"] in ("1g", "1073741824", 1 << 30)
    chosen = settings.load(service["environment"])
    # The start, transfers as `make bench` limits them, documents, parsing the largest of them, and request headers.
    mebibytes = 100 + 6 * chosen.threads + 64 + 100 + 8 * PROVIDER_THREADS
    assert (mebibytes << 20) + 3 * MAX_HEADS_BYTES <= 1 << 30
    threads = chosen.threads + SPARE_THREADS + PROVIDER_THREADS + OPERATIONS_THREADS
    assert service["pids_limit"] >= threads + chosen.threads + 16
    assert f"# {threads} threads answer requests" in OVERRIDE.read_text()
    assert service["ulimits"]["nofile"] in (65536, {"soft": 65536, "hard": 65536})


def test_running_transfers_end_before_the_container_is_killed(service: dict[str, Any]) -> None:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(\d+)s", service["stop_grace_period"]).groups("0")  # type: ignore[union-attr]
    assert int(minutes) * 60 + int(seconds) > settings.load(service["environment"]).grace_period


def uncommented(text: str, *beginnings: str) -> str:
    """The text without `# ` before the lines that begin with these."""
    lines = []
    for line in text.splitlines():
        bare = line.replace("# ", "", 1)
        lines.append(bare if line.lstrip().startswith("# ") and bare.lstrip().startswith(beginnings) else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_override_has_a_line_for_each_variant(variant: Variant, tmp_path: Path) -> None:
    include = variant.include
    text = OVERRIDE.read_text().replace("      - ./otc-swr/", "      # - ./otc-swr/")
    services = read(tmp_path, uncommented(text, f"- ./otc-swr/{include.name}:"))["services"]
    [mount] = [each for each in map(json.dumps, services["proxy"]["volumes"]) if "otc-swr" in each]
    assert f"{tmp_path}/otc-swr/{include.name}" in mount
    # Where the nginx.conf of this variant includes it (docs/facts/harbor.md C.1).
    assert f"/etc/nginx/conf.d/harbor.{variant.scheme}.otc-swr.conf" in mount


def test_override_has_lines_for_internal_tls(tmp_path: Path) -> None:
    text = OVERRIDE.read_text().replace("      SWR_ADAPTER_HARBOR_CORE_URL", "      # (not this)")
    text = uncommented(text, "SWR_ADAPTER_HARBOR_CORE_URL: https", "SWR_ADAPTER_CORE_CA_BUNDLE", "volumes:", "- /data/")
    service = read(tmp_path, text)["services"][SERVICE]
    assert service["environment"]["SWR_ADAPTER_HARBOR_CORE_URL"] == "https://core:8443"
    [mount] = map(json.dumps, service["volumes"])
    assert service["environment"]["SWR_ADAPTER_CORE_CA_BUNDLE"] in mount
    assert "/data/secret/tls/harbor_internal_ca.crt" in mount


def test_names_in_override_and_documentation_exist() -> None:
    named = set(re.findall(r"SWR_ADAPTER_[A-Z_]*[A-Z]", OVERRIDE.read_text()))
    assert named <= {row.variable for row in settings.table()}
    page = (INCLUDES.parent.parent / "docs" / "install-compose.md").read_text()
    assert set(re.findall(r"harbor\.https?\.otc-swr[\w-]*\.conf", page)) == {each.include.name for each in VARIANTS}
    assert f"docker/compose/{OVERRIDE.name}" in page
    assert f"-t harbor-swr-adapter:{adapter.__version__} ." in page
