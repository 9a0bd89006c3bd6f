"""Asking for organizations as Harbor does."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.http import Answer, Door


def create(door: Door, name: object, **options: Any) -> Answer:
    body = json.dumps({"project_name": name, "metadata": {"public": "false"}}).encode()
    return door.ask("POST", "/api/v2.0/projects", body, {"Content-Type": "application/json"}, **options)


def listed(door: Door, query: str, **options: Any) -> Answer:
    return door.ask("GET", f"/api/v2.0/projects?{query}", **options)


def names_in(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [project["name"] for project in answer.json]
