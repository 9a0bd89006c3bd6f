"""The example of docs/terraform.md, parsed, and its requests compared with `openapi/provider.yaml`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.provider.test_openapi import faults

ROOT = Path(__file__).parent.parent

# The arguments of terraform-provider-harbor 3.12: provider/resource_registry.go, provider/resource_replication.go.
ARGUMENTS = {
    "harbor_registry": {
        "required": {"name", "provider_name", "endpoint_url"},
        "optional": {"description", "access_id", "access_secret", "insecure", "ca_certificate"},
    },
    "harbor_replication": {
        "required": {"name", "action", "registry_id"},
        "optional": {
            "enabled", "deletion", "description", "schedule", "dest_namespace", "dest_namespace_replace", "override",
            "copy_by_chunk", "single_active_replication", "filters", "speed", "execute_on_changed",
        },
    },
}  # fmt: skip

Block = dict[str, Any]


def hcl(text: str) -> Block:
    """Reads the part of HCL that the example uses: blocks, one attribute per line, literals; a reference stays text.

    The key of a block is its type and labels, the value a list of all such blocks.
    """
    root: Block = {}
    open_blocks = [root]
    for line in (line.strip() for line in text.splitlines()):
        if begins := re.fullmatch(r'(\w+)((?: "[^"]*")*) \{', line):
            block: Block = {}
            open_blocks[-1].setdefault(" ".join([begins[1], *re.findall(r'"([^"]*)"', begins[2])]), []).append(block)
            open_blocks.append(block)
        elif assigns := re.fullmatch(r"(\w+)\s*= (\{|.+)", line):
            if assigns[2] == "{":
                open_blocks[-1][assigns[1]] = {}
                open_blocks.append(open_blocks[-1][assigns[1]])
            else:
                open_blocks[-1][assigns[1]] = literal(assigns[2])
        elif line == "}":
            open_blocks.pop()
        else:
            assert line == "", line
    assert open_blocks == [root], "a block is not closed"
    return root


def literal(text: str) -> Any:
    """A string, number or boolean as JSON has it; a reference as its text."""
    return text if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+|string", text) else json.loads(text)


def example() -> dict[str, Block]:
    """The blocks of the example by type and labels; each occurs once."""
    (text,) = re.findall(r"^```hcl\n(.*?)^```$", (ROOT / "docs/terraform.md").read_text(), re.MULTILINE | re.DOTALL)
    blocks = hcl(text)
    assert all(len(each) == 1 for each in blocks.values())
    return {name: each[0] for name, each in blocks.items()}


def test_example_uses_existing_arguments_and_declared_variables() -> None:
    blocks = example()
    resources = {name.split()[1]: block for name, block in blocks.items() if name.startswith("resource ")}
    assert set(resources) == set(ARGUMENTS)
    for kind, block in resources.items():
        allowed = ARGUMENTS[kind]
        assert allowed["required"] <= set(block) <= allowed["required"] | allowed["optional"]
    used = set(re.findall(r"'var\.(\w+)'", str(blocks)))
    assert used == {name.split()[1] for name in blocks if name.startswith("variable ")} != set()
    assert blocks["variable swr_access_secret"]["sensitive"] is True
    endpoint, rule = resources["harbor_registry"], resources["harbor_replication"]
    assert rule["registry_id"] == "harbor_registry.swr.registry_id"
    assert (rule["action"], rule["dest_namespace_replace"], rule["deletion"]) == ("push", -1, False)
    assert endpoint["provider_name"] == "harbor"
    assert re.fullmatch(r"https?://(?!.*t-systems)[^/]+", endpoint["endpoint_url"]), "not the URL of the adapter"


def test_requests_of_terraform_match_the_document() -> None:
    """Bodies as in client/registry.go and models/replications.go of the Terraform provider."""
    blocks = example()
    endpoint, rule = blocks["resource harbor_registry swr"], blocks["resource harbor_replication push"]
    credential = {"type": "basic", "access_key": endpoint["access_id"], "access_secret": endpoint["access_secret"]}
    created = {
        "name": endpoint["name"],
        "type": endpoint["provider_name"],
        "url": endpoint["endpoint_url"],
        "insecure": False,
    }
    assert faults("/components/schemas/RegistryCreate", {**created, "credential": credential}) == []
    policy = {
        "id": 0,
        "name": rule["name"],
        "src_registry": {},
        "dest_registry": {"id": 4},
        "dest_namespace": rule["dest_namespace"],
        "dest_namespace_replace_count": rule["dest_namespace_replace"],
        "trigger": {"type": rule["schedule"], "trigger_settings": {}},
        "enabled": True,
        "override": True,
        "speed": -1,
        "filters": [{"type": kind, "value": value} for each in rule["filters"] for kind, value in each.items()],
    }
    assert faults("/components/schemas/PolicyWrite", policy) == []
