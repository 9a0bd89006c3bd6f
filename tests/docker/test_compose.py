"""docker-compose.override.yml, as docker-compose reads it on top of what Harbor's installer writes.

Passes with Debian's docker-compose of bookworm (1.29) and of trixie (2.26).
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
from tests.docker.nginx import DOOR, INCLUDES, VARIANTS, Variant

INSTALLER = Path(__file__).parent / "harbor"
OVERRIDE = INCLUDES / "docker-compose.override.yml"
SERVICE = "otc-swr"


def read(folder: Path, override: str | None, head: str = "") -> dict[str, Any]:
    """What docker-compose makes of the installer's file, with `head` before it, and of the override if there is one."""
    shutil.copytree(INSTALLER, folder, dirs_exist_ok=True)
    for service in ("registryctl", "db", "core", "jobservice"):
        (folder / "common" / "config" / service).mkdir(parents=True, exist_ok=True)
        (folder / "common" / "config" / service / "env").touch()
    stock = folder / "docker-compose.yml"
    stock.write_text(head + stock.read_text())
    if override is not None:
        (folder / OVERRIDE.name).write_text(override)
    # Found as `docker compose up` finds them: no file is named.
    printed = subprocess.run(["docker-compose", "config"], cwd=folder, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    configuration: dict[str, Any] = yaml.safe_load(printed.stdout)
    return configuration


@pytest.fixture
def service(tmp_path: Path) -> dict[str, Any]:
    """The adapter's own service."""
    found: dict[str, Any] = read(tmp_path, OVERRIDE.read_text())["services"][SERVICE]
    return found


@pytest.mark.parametrize("head", ["", "version: '2.3'\n"], ids=["now", "of Harbor 2.9"])
def test_it_adds_one_service_and_one_mount(head: str, tmp_path: Path) -> None:
    stock = read(tmp_path / "stock", None, head)["services"]
    merged = read(tmp_path / "merged", OVERRIDE.read_text(), head)
    assert not merged["networks"]["harbor"].get("external")  # version 2 leaves it out
    services = merged["services"]
    assert set(services) - set(stock) == {SERVICE}
    mounts = [json.dumps(each) for each in services["proxy"].pop("volumes")]
    assert len(mounts) == len(stock["proxy"].pop("volumes")) + 1
    [added] = [each for each in mounts if "otc-swr" in each]
    assert f"{tmp_path}/merged/otc-swr/harbor.http.otc-swr.conf" in added
    assert "/etc/nginx/conf.d/harbor.http.otc-swr.conf" in added
    # All else is as it was.
    del services[SERVICE]
    assert json.loads(json.dumps(plain(services)).replace("/merged/", "/stock/")) == plain(stock)


def plain(value: Any) -> Any:
    """In an order of its own, and without nothing: docker-compose merges into another order than it reads."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()} or None
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=json.dumps)
    return value or None


def test_harbor_reaches_it_past_any_proxy_under_the_name_in_the_includes(service: dict[str, Any]) -> None:
    [(network, options)] = service["networks"].items()
    assert network == "harbor"
    [alias] = options["aliases"]
    assert alias.endswith(".internal")
    assert f"{alias}:8081" == DOOR
    assert service["environment"]["SWR_ADAPTER_PUBLIC_URL"] == f"http://{alias}:8080"


def test_it_is_closed_up(service: dict[str, Any]) -> None:
    assert "ports" not in service
    assert service["read_only"] is True
    [scratch] = service["tmpfs"]
    assert re.fullmatch(r"/tmp:size=\d+m", scratch)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "always"
    user = re.search(r"^USER (.+)$", (INCLUDES.parent / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert service["user"] == user[1]


def test_it_cannot_take_the_machine(service: dict[str, Any]) -> None:
    limit = service["mem_limit"]
    size = 1 << 30 if limit in ("1g", "1073741824", 1 << 30) else 0
    chosen = settings.load(service["environment"])
    # At the start; transfers at the most that `make bench` allows each; documents, the largest of them parsed; heads.
    assert size >= ((100 + 6 * chosen.threads + 64 + 100 + 8 * PROVIDER_THREADS) << 20) + 3 * MAX_HEADS_BYTES
    threads = chosen.threads + SPARE_THREADS + PROVIDER_THREADS + OPERATIONS_THREADS
    assert service["pids_limit"] >= threads + chosen.threads + 16
    assert f"# {threads} threads answer requests" in OVERRIDE.read_text()
    assert service["ulimits"]["nofile"] in (65536, {"soft": 65536, "hard": 65536})


def test_running_transfers_end_before_the_container_is_killed(service: dict[str, Any]) -> None:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(\d+)s", service["stop_grace_period"]).groups("0")  # type: ignore[union-attr]
    assert int(minutes) * 60 + int(seconds) > settings.load(service["environment"]).grace_period


def test_its_health_check_is_the_image_s_own(service: dict[str, Any]) -> None:
    own = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])", (INCLUDES.parent / "Dockerfile").read_text(), re.DOTALL)
    assert own is not None
    assert service["healthcheck"]["test"] == ["CMD", *json.loads(own[1])]


def test_its_image_is_this_version(service: dict[str, Any]) -> None:
    assert service["image"] == f"harbor-swr-adapter:{adapter.__version__}"


def uncommented(text: str, *beginnings: str) -> str:
    """With the lines in force that begin so, and without those that they replace."""
    lines = []
    for line in text.splitlines():
        bare = line.replace("# ", "", 1)
        lines.append(bare if line.lstrip().startswith("# ") and bare.lstrip().startswith(beginnings) else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_each_variant_is_a_line_that_is_there(variant: Variant, tmp_path: Path) -> None:
    include = variant.include
    text = OVERRIDE.read_text().replace("      - ./otc-swr/", "      # - ./otc-swr/")
    services = read(tmp_path, uncommented(text, f"- ./otc-swr/{include.name}:"))["services"]
    [mount] = [each for each in map(json.dumps, services["proxy"]["volumes"]) if "otc-swr" in each]
    assert f"{tmp_path}/otc-swr/{include.name}" in mount
    # Where that mode of Harbor's nginx looks (docs/facts/harbor.md C.1).
    assert f"/etc/nginx/conf.d/harbor.{variant.scheme}.otc-swr.conf" in mount


def test_with_internal_tls_core_is_asked_by_https_and_verified(tmp_path: Path) -> None:
    text = OVERRIDE.read_text().replace("      SWR_ADAPTER_HARBOR_CORE_URL", "      # (not this)")
    text = uncommented(text, "SWR_ADAPTER_HARBOR_CORE_URL: https", "SWR_ADAPTER_CORE_CA_BUNDLE", "volumes:", "- /data/")
    service = read(tmp_path, text)["services"][SERVICE]
    assert service["environment"]["SWR_ADAPTER_HARBOR_CORE_URL"] == "https://core:8443"
    bundle = service["environment"]["SWR_ADAPTER_CORE_CA_BUNDLE"]
    [mount] = service["volumes"]
    assert bundle in json.dumps(mount)
    assert "/data/secret/tls/harbor_internal_ca.crt" in json.dumps(mount)


def test_all_settings_in_it_exist() -> None:
    named = set(re.findall(r"SWR_ADAPTER_[A-Z_]*[A-Z]", OVERRIDE.read_text()))
    assert named <= {row.variable for row in settings.table()}


def test_the_page_names_every_file() -> None:
    page = (INCLUDES.parent.parent / "docs" / "install-compose.md").read_text()
    named = set(re.findall(r"harbor\.https?\.otc-swr[\w-]*\.conf", page))
    assert named == {each.include.name for each in VARIANTS}
    assert f"docker/compose/{OVERRIDE.name}" in page
    assert f"-t harbor-swr-adapter:{adapter.__version__} ." in page
