"""`openapi/provider.yaml`, compared with the code and with recorded traffic."""

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
from adapter.sandbox.recording import Body, Exchange, load
from tests.openapi import METHODS, Operation, Page

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted((ROOT / "tests/recordings/harbor-2.15.2/portal-to-door").glob("*.jsonl"))
PAGE = Page("provider.yaml")
DOCUMENT = PAGE.root
BASE: str = DOCUMENT["servers"][0]["url"]
UNDESCRIBED_HEADERS = {"content-type", "content-length", "date", "vary"}


def parameters(operation: Operation, place: str) -> dict[str, str]:
    """The parameters in path, query or header: name to the place of the schema."""
    return {
        parameter["name"]: f"{where}/schema"
        for where, parameter in PAGE.parameters(operation)
        if parameter["in"] == place
    }


def strict(node: Any, *, part: bool = False) -> Any:
    """The document without additional properties, to find recorded fields that are not described. `part`: the schema
    is only a part of others."""
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


STRICT: Registry[Any] = Registry().with_resource("urn:page", DRAFT202012.create_resource(strict(DOCUMENT)))


def faults(where: str, value: Any) -> list[str]:
    """What contradicts the schema at a place of the document."""
    validator = OAS31Validator({"$ref": f"urn:page#{where}"}, registry=STRICT, format_checker=oas31_format_checker)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def exchange_faults(exchange: Exchange, operation: Operation, captured: dict[str, str]) -> Iterator[str]:
    request, response = exchange.request, exchange.response
    _, described = PAGE.resolved(operation.where)
    yield from parameter_faults(operation, "path", [*captured.items()])
    yield from parameter_faults(operation, "query", parse_qsl(request.query, keep_blank_values=True))
    token = request.header("X-Harbor-CSRF-Token") if operation.method != "GET" else None
    if token and "X-Harbor-CSRF-Token" not in parameters(operation, "header"):
        yield "the CSRF token is not described"
    yield from body_faults(request.body, f"{operation.where}/requestBody" if "requestBody" in described else None)
    if str(response.status) not in described["responses"]:
        yield f"status {response.status} is not described"
        return
    where, found = PAGE.resolved(f"{operation.where}/responses/{response.status}")
    known = UNDESCRIBED_HEADERS | {name.lower() for name in found.get("headers", {})}
    yield from (f"header {name} is not described" for name, _ in response.headers if name.lower() not in known)
    yield from body_faults(response.body, where if "content" in found else None)


def parameter_faults(operation: Operation, place: str, given: list[tuple[str, str]]) -> Iterator[str]:
    known = parameters(operation, place)
    for name, text in given:
        if name not in known:
            yield f"{place} parameter {name} is not described"
            continue
        is_number = PAGE.resolved(known[name])[1]["type"] == "integer" and re.fullmatch(r"-?\d+", text)
        yield from faults(known[name], int(text) if is_number else text)


def body_faults(body: Body | None, where: str | None) -> Iterator[str]:
    """`where` describes the body; None if there must be none."""
    if (body is None) != (where is None):
        yield "a body without description, or a description without body"
    elif body is not None:
        yield from faults(f"{where}/content/application~1json/schema", json.loads(body.data or b""))


def operation_of(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Prefers paths without parameters, as OpenAPI says."""
    for operation in sorted(PAGE.operations, key=lambda each: each.template.count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(BASE + operation.template))
        if operation.method == method and (found := re.fullmatch(pattern, path)):
            return operation, found.groupdict()
    return None


def recorded() -> list[tuple[str, Exchange, Operation, dict[str, str]]]:
    return [
        (f"{file.stem} {exchange}", exchange, *found)
        for file in RECORDINGS
        for exchange in load(file)
        if (found := operation_of(exchange.request.method, exchange.request.path))
    ]


def test_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def example(template: str) -> str:
    return BASE + template.replace("{id}", "7").replace("{project_name_or_id}", "library")


def test_translated_operations_are_those_of_the_code() -> None:
    described = {operation: PAGE.resolved(operation.where)[1] for operation in PAGE.operations}
    assert {each["x-adapter"] for each in described.values()} == {"translates", "passes"}
    translated = {
        (each.method, each.template) for each, found in described.items() if found["x-adapter"] == "translates"
    }
    matched = {
        (method, template): route.kind
        for method in map(str.upper, METHODS)
        for template in DOCUMENT["paths"]
        if (route := routes.match(method, example(template)))
    }
    assert set(matched) == translated
    assert sorted(kind.name for kind in matched.values()) == sorted(kind.name for kind in routes.Kind)
    assert len(routes._ROUTES) == len(translated)
    assert [path for path in DOCUMENT["paths"] if not routes.is_routed_to_adapter(example(path))] == []


def test_every_operation_says_what_the_adapter_changes() -> None:
    described = [PAGE.resolved(operation.where)[1] for operation in PAGE.operations]
    assert len({each["operationId"] for each in described}) == len(described) > 10
    beginning = re.compile(r"(Request|Response)\b|Nothing is changed")
    assert [each["operationId"] for each in described if not beginning.match(each["description"])] == []


def test_recorded_exchanges_are_as_described() -> None:
    exchanges = recorded()
    assert len(exchanges) > 50
    found = {
        name: wrong
        for name, exchange, operation, captured in exchanges
        if (wrong := [*exchange_faults(exchange, operation, captured)])
    }
    assert found == {}
    assert {str(each) for each in PAGE.operations} - {str(operation) for _, _, operation, _ in exchanges} == {
        "GET /replication/policies/{id}",
        "DELETE /replication/policies/{id}",
    }


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ("RegistryCreate", {"name": "swr", "type": "harbor", "url": "http://adapter", "secret": "x"}),
        ("RegistryPing", {"id": "4"}),
        ("Registry", {"id": 1, "name": "swr", "type": "harbor", "credential": {"secret": "x"}}),
        ("PolicyWrite", {"name": "push", "filters": [{"type": "repository", "value": "**"}]}),
        ("Errors", {"errors": [{"message": "no"}]}),
    ],
)
def test_other_documents_contradict_the_schemas(schema: str, document: Any) -> None:
    assert faults(f"/components/schemas/{schema}", document) != []
