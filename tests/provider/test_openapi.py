"""The provider door as `openapi/provider.yaml` has it: held to the code and to recorded traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from adapter.provider import routes
from adapter.sandbox.recording import Body, Exchange, Headers, load
from tests.openapi import METHODS, Operation, Page

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted((ROOT / "tests/recordings/harbor-2.15.2/portal-to-door").glob("*.jsonl"))
PAGE = Page("provider.yaml")
DOCUMENT = PAGE.root
BASE: str = DOCUMENT["servers"][0]["url"]

# Of HTTP itself, or the framing's: no part of the contract.
PLAIN_HEADERS = {"content-type", "content-length", "date", "vary"}


resolved = PAGE.resolved


def operations() -> tuple[Operation, ...]:
    return PAGE.operations


def parameters(operation: Operation, place: str) -> dict[str, str]:
    """The parameters of one place (path, query, header): name → where its schema stands."""
    return {
        parameter["name"]: f"{where}/schema"
        for where, parameter in PAGE.parameters(operation)
        if parameter["in"] == place
    }


# Validation: strict, so that a field which was recorded but is not described is found


def strict(node: Any, *, part: bool = False) -> Any:
    """The document with unknown properties refused. `part`: the schema is a part of others, which refuse for it."""
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "allOf":
            made[key] = [strict(each, part=True) for each in value]
        else:
            made[key] = strict(value, part=key.endswith("Fields"))
    if not part and ("allOf" in node or isinstance(node.get("properties"), dict)):
        made["unevaluatedProperties"] = False
    return made


def validator(where: str, document: Any) -> OAS31Validator:
    registry: Registry[Any] = Registry().with_resource("urn:door", DRAFT202012.create_resource(document))
    return OAS31Validator({"$ref": f"urn:door#{where}"}, registry=registry, format_checker=oas31_format_checker)


STRICT = strict(DOCUMENT)


def faults(where: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(where, STRICT).iter_errors(value)]


def parsed(body: Body | None) -> Any:
    assert body is not None
    assert body.data is not None
    return json.loads(body.data)


def converted(text: str, where: str) -> Any:
    """A parameter's text as its schema's type."""
    kind = resolved(where)[1]["type"]
    return int(text) if kind == "integer" and re.fullmatch(r"-?\d+", text) else text


def request_faults(exchange: Exchange, operation: Operation, captured: dict[str, str]) -> Iterator[str]:
    request = exchange.request
    yield from parameter_faults(operation, "path", [*captured.items()])
    yield from parameter_faults(operation, "query", parse_qsl(request.query, keep_blank_values=True))
    token = request.header("X-Harbor-CSRF-Token") if operation.method != "GET" else None
    if token and "X-Harbor-CSRF-Token" not in parameters(operation, "header"):
        yield "the CSRF token is not described"
    described = "requestBody" in resolved(operation.where)[1]
    yield from body_faults(request.body, f"{operation.where}/requestBody" if described else None)


def parameter_faults(operation: Operation, place: str, given: list[tuple[str, str]]) -> Iterator[str]:
    known = parameters(operation, place)
    for name, value in given:
        if name not in known:
            yield f"{place} parameter {name} is not described"
        else:
            yield from faults(known[name], converted(value, known[name]))


def body_faults(body: Body | None, where: str | None) -> Iterator[str]:
    """`where`: the place of what describes the body's content, None if there is to be none."""
    if (body is None) != (where is None):
        yield "a body where none is described, or none where one is"
    elif where is not None:
        yield from faults(f"{where}/content/application~1json/schema", parsed(body))


def answer_faults(exchange: Exchange, operation: Operation) -> Iterator[str]:
    described = resolved(operation.where)[1]["responses"]
    status = str(exchange.answer.status)
    if status not in described:
        yield f"status {status} is not described"
        return
    where, response = resolved(f"{operation.where}/responses/{status}")
    yield from header_faults(exchange.answer.headers, response.get("headers", {}))
    yield from body_faults(exchange.answer.body, where if "content" in response else None)


def header_faults(recorded: Headers, described: dict[str, Any]) -> Iterator[str]:
    known = PLAIN_HEADERS | {name.lower() for name in described}
    yield from (f"header {name} is not described" for name, _ in recorded if name.lower() not in known)


# Recorded traffic


def match(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation that a request means; a fixed path goes before one with a parameter, as OpenAPI has it."""
    for operation in sorted(operations(), key=lambda each: each.template.count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(BASE + operation.template))
        if operation.method == method and (found := re.fullmatch(pattern, path)):
            return operation, found.groupdict()
    return None


def recorded() -> list[tuple[str, Exchange, Operation, dict[str, str]]]:
    return [
        (f"{file.stem} {exchange}", exchange, *found)
        for file in RECORDINGS
        for exchange in load(file)
        if (found := match(exchange.request.method, exchange.request.path))
    ]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def sample(template: str) -> str:
    """A target of that path."""
    return BASE + template.replace("{id}", "7").replace("{project_name_or_id}", "library")


def test_the_operations_that_the_door_translates_are_those_of_the_code() -> None:
    """One to one with its kinds of routes and with the rows of its table; all else passes, id 0 included."""
    described = {operation: resolved(operation.where)[1]["x-door"] for operation in operations()}
    assert set(described.values()) == {"translates", "passes"}
    translated = {(each.method, each.template) for each, door in described.items() if door == "translates"}
    matched = {
        (method, template): route.kind
        for method in map(str.upper, METHODS)
        for template in DOCUMENT["paths"]
        if (route := routes.match(method, sample(template)))
    }
    assert set(matched) == translated
    assert sorted(kind.name for kind in matched.values()) == sorted(kind.name for kind in routes.Kind)
    assert len(routes._ROUTES) == len(translated)


def test_harbors_proxy_brings_every_path_to_the_door() -> None:
    assert [path for path in DOCUMENT["paths"] if not routes.is_brought(sample(path))] == []


def test_harbors_own_entry_is_not_translated() -> None:
    assert routes.match("GET", f"{BASE}/registries/7/info") is not None
    assert routes.match("GET", f"{BASE}/registries/0/info") is None


def test_every_operation_has_a_name_of_its_own_and_says_what_the_door_changes() -> None:
    described = [resolved(operation.where)[1] for operation in operations()]
    assert len({each["operationId"] for each in described}) == len(described) > 10
    silent = [each for each in described if not re.match(r"(In|Out)\b|Nothing is changed", each["description"])]
    assert [each["operationId"] for each in silent] == []


def test_recorded_exchanges_are_as_described() -> None:
    exchanges = recorded()
    assert len(exchanges) > 50
    found = {
        name: wrong
        for name, exchange, operation, captured in exchanges
        if (wrong := [*request_faults(exchange, operation, captured), *answer_faults(exchange, operation)])
    }
    assert found == {}


def test_recordings_cover_all_operations_but_these() -> None:
    seen = {str(operation) for _, _, operation, _ in recorded()}
    assert {str(operation) for operation in operations()} - seen == {
        "GET /replication/policies/{id}",
        "DELETE /replication/policies/{id}",
    }


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ("RegistryCreate", {"name": "swr", "url": "https://swr.eu-de.otc.t-systems.com"}),
        ("RegistryCreate", {"name": "swr", "type": "harbor", "url": "http://adapter", "secret": "x"}),
        ("RegistryUpdate", {"type": "harbor"}),
        ("RegistryPing", {"id": "4"}),
        ("Registry", {"id": 1, "name": "swr", "type": "harbor", "url": "http://adapter"}),
        ("Registry", {"id": 1, "name": "swr", "type": "harbor", "credential": {"secret": "x"}}),
        ("Policy", {"id": 1, "name": "push", "src_registry": None, "dest_registry": None}),
        ("PolicyWrite", {"name": "push", "dest_registry": {"id": "4"}}),
        ("PolicyWrite", {"name": "push", "dest_namespace_replace_count": -2}),
        ("PolicyWrite", {"name": "push", "filters": [{"type": "repository", "value": "**"}]}),
        ("ProjectSummary", {"registry": {"id": 4, "name": "swr"}}),
        ("Errors", {"errors": [{"message": "no"}]}),
    ],
)
def test_what_is_not_as_described_is_refused(schema: str, document: Any) -> None:
    assert faults(f"/components/schemas/{schema}", document) != []
