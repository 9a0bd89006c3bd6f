"""`openapi/contract.yaml`, compared with the routes of the code and with every response that they can give."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from adapter import errors
from adapter.contract import create_contract_app
from adapter.errors import AdapterError, Unreachable
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from tests.contract.openapi import (
    DOCUMENT,
    PLAIN_HEADERS,
    Exchanged,
    answer_faults,
    operation_of,
    operations,
    parameters,
    request_faults,
    resolved,
    response_of,
    schema_faults,
)
from tests.contract.requests import (
    BLOB,
    BUSY,
    MANIFESTS,
    PROJECTS,
    STRANGERS,
    SWR,
    UPLOADS,
    malformed,
    raised_at,
    requests_of,
    secured,
    unfit,
)
from tests.contract.stubbed import DIGEST, LAYER, Ask, Stubbed, StubSwr
from tests.credentials import basic
from tests.openapi import Operation

Run = tuple[list[Exchanged], set[str]]


@pytest.fixture(scope="module")
def run() -> Run:
    """Every response that the code can give, at least once, and the classes of errors that were raised."""
    exchanges: list[Exchanged] = []
    raised: set[str] = set()

    def ask(door: Stubbed, asks: list[Ask]) -> None:
        exchanges.extend(map(door.ask, asks))
        raised.update(door.error_classes)

    for media_type, document in MANIFESTS.items():
        door = Stubbed(StubSwr((media_type, json.dumps(document).encode())))
        asks = requests_of(door)
        ask(door, [each for each in asks if "/manifests/" in each.target])
    ask(door, [each for each in asks if "/manifests/" not in each.target])
    ask(door, [replace(each, authorization=other) for each in asks if secured(each) for other in STRANGERS])
    ask(Stubbed(blob_redirects="pass"), [Ask("GET", BLOB)])
    ask(Stubbed(defect=True), asks)
    swr = StubSwr()
    refused = Stubbed(swr)
    for each in asks:
        operation, _ = cast("tuple[Operation, object]", operation_of(each.method, each.target))
        for kind in raised_at(operation):
            swr.error = kind("no", swr_code="S.1", swr_message="100% no", request_id="r", retry_after=7.0)
            ask(refused, [each])
    for kind in SWR:
        # For an invalid location the adapter still checks the credentials with SWR.
        swr.error = kind("no")
        ask(refused, [Ask(method, f"{UPLOADS}x") for method in ("GET", "HEAD")])
    swr.error, swr.outage = None, Unreachable("no")
    ask(refused, [Ask(method, "/api/v2.0/labels?scope=g") for method in ("GET", "HEAD")])
    door = Stubbed(max_layer_bytes=100)
    for _, _, each in (*malformed(door), *unfit(door)):
        ask(door, [each] if each.method != "GET" else [each, replace(each, method="HEAD")])
    busy = Stubbed(threads=0)
    ask(busy, [*BUSY, Ask("PATCH", busy.location(), LAYER), Ask("PUT", f"{busy.location()}?digest={DIGEST}", LAYER)])
    ask(Stubbed(calls=0), [replace(each, authorization=basic()) for each in asks])
    return exchanges, raised


def shown(exchanged: Exchanged) -> str:
    found = operation_of(exchanged.method, exchanged.target)
    return f"{found[0] if found else exchanged.target} {exchanged.status}"


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_operation_has_a_unique_id_and_a_summary() -> None:
    described = [resolved(operation.where)[1] for operation in operations()]
    assert len({each["operationId"] for each in described}) == len(described) > 20
    assert [each["operationId"] for each in described if not each["summary"]] == []


def test_every_component_is_used() -> None:
    """Responses for unknown paths and methods belong to no operation."""
    used = set(re.findall(r"'\$ref': '#/components/(\w+/\w+)'", str(DOCUMENT)))
    kept = {f"{kind}/{name}" for kind, each in DOCUMENT["components"].items() for name in each}
    without = {f"responses/{surface}{name}" for surface in ("Oci", "Harbor") for name in ("NoSuchPath", "NotAllowed")}
    assert kept - used == without | {"securitySchemes/basic"}


def rule_of(template: str) -> str:
    """The path as Flask writes it."""
    return re.sub(r"\{(\w+)\}", lambda found: f"<{'path:' if found[1] == 'name' else ''}{found[1]}>", template)


def test_the_operations_are_the_routes_of_the_code() -> None:
    app = create_contract_app(Settings(), cast("SwrClient", StubSwr()))
    routes = {(method, str(rule)) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    assert {(each.method, rule_of(each.template)) for each in operations()} == routes


def test_every_response_matches_the_document(run: Run) -> None:
    wrong = {f"{shown(each)}: {fault}" for each in run[0] for fault in answer_faults(each)}
    assert wrong == set()


def test_every_documented_status_occurs(run: Run) -> None:
    described = {f"{each} {status}" for each in operations() for status in resolved(each.where)[1]["responses"]}
    given = {shown(each) for each in run[0] if operation_of(each.method, each.target)}
    assert given - described == set()
    assert described - given == set()


def test_every_documented_media_type_occurs(run: Run) -> None:
    given = {dict(each.answered).get("Content-Type", "").partition(";")[0] for each in run[0]}
    described = set(re.findall(r"'([\w.*+/-]+/[\w.*+-]+)': \{", str([*walk_answers()])))
    assert described - given == {"application/*", "*/*"}
    assert given - described == {"", "application/vnd.example.thing+json"}


def walk_answers() -> Iterator[Any]:
    for operation in operations():
        for status in resolved(operation.where)[1]["responses"]:
            yield resolved(f"{operation.where}/responses/{status}")[1].get("content")


def kinds(base: type[AdapterError]) -> Iterator[type[AdapterError]]:
    for each in base.__subclasses__():
        yield each
        yield from kinds(each)


def test_every_error_class_but_the_groups_occurs(run: Run) -> None:
    declared = {each.__name__ for each in kinds(AdapterError) if each.__module__.startswith(errors.__name__)}
    assert declared - run[1] == {"CredentialsError", "NotFound", "UpstreamError"}


def test_every_documented_error_code_occurs(run: Run) -> None:
    given: dict[str, set[str]] = {}
    for each in run[0]:
        if each.status >= 400 and each.body:
            given.setdefault(str(response_of(each)), set()).add(json.loads(each.body)["errors"][0]["code"])
    for where, codes in given.items():
        _, narrowing = resolved(f"{where}/content/application~1json/schema/allOf/1")
        assert codes == set(narrowing["properties"]["errors"]["items"]["properties"]["code"]["enum"]), where
    assert set(given) == {f"/components/responses/{name}" for name in DOCUMENT["components"]["responses"]}


def test_accepted_requests_match_the_document() -> None:
    door = Stubbed()
    wrong = {}
    for each in requests_of(door):
        exchanged = door.ask(each)
        assert exchanged.status < 300, shown(exchanged)
        if found := request_faults(exchanged):
            wrong[shown(exchanged)] = found
    assert wrong == {}


@pytest.mark.parametrize(("refusals", "by_form"), [(malformed, True), (unfit, False)])
def test_only_malformed_requests_differ_from_the_document(
    refusals: Callable[[Stubbed], list[tuple[int, str, Ask]]], by_form: bool
) -> None:
    door = Stubbed(max_layer_bytes=100)
    for status, kind, ask in refusals(door):
        exchanged = door.ask(ask)
        assert exchanged.status == status, (kind, shown(exchanged), exchanged.body)
        assert kind in door.error_classes
        assert bool(request_faults(exchanged)) is by_form, (shown(exchanged), request_faults(exchanged))


def test_lenient_parameters_are_those_that_are_never_rejected() -> None:
    door = Stubbed()
    tried = set()
    for each in requests_of(door):
        operation, _ = cast("tuple[Operation, object]", operation_of(each.method, each.target))
        for _, parameter in parameters(operation):
            name = parameter["name"]
            if each.method == "POST" and unread(name, each.target):
                continue
            if parameter["in"] == "header":
                asked = replace(each, headers={**each.headers, name: "~"})
            elif parameter["in"] == "query":
                path, _, query = each.target.partition("?")
                kept = [pair for pair in query.split("&") if pair.partition("=")[0] not in {name, ""}]
                asked = replace(each, target=f"{path}?{'&'.join([*kept, f'{name}=%01'])}")
            else:
                continue
            # 404 is for a missing organization, not for a malformed value.
            refused = door.ask(asked).status not in {200, 201, 202, 204, 206, 404}
            assert refused is not parameter.get("x-lenient", False), (each.target, name)
            tried.add(name)
    assert {"digest", "page", "Content-Range", "q", "X-Request-Id"} <= tried


def unread(name: str, target: str) -> bool:
    """Whether the start of an upload ignores the parameter: it reads no body without `digest`, `from` only with
    `mount`, and `mount` only without `digest`."""
    only = {"Content-Range": "?digest=", "from": "?mount="}
    return only.get(name, "") not in target or (name == "mount" and "?digest=" in target)


def mutated_headers(exchanged: Exchanged) -> Iterator[tuple[str, Exchanged]]:
    """Each header of the contract garbled, and left out if it is required; and one unknown header."""
    for at, (name, _) in enumerate(exchanged.answered):
        rest = exchanged.answered[:at] + exchanged.answered[at + 1 :]
        if name.lower() not in PLAIN_HEADERS:
            yield f"{name} garbled", replace(exchanged, answered=(*rest, (name, "\x7f")))
            if name not in OPTIONAL_HEADERS:
                yield f"{name} left out", replace(exchanged, answered=rest)
    yield "another header", replace(exchanged, answered=(*exchanged.answered, ("X-Other", "1")))


OPTIONAL_HEADERS = {"Content-Encoding", "Link", "Range", "Retry-After"}
OPTIONAL_KEYS = {"swr_code", "swr_message", "swr_request_id", "project_id"}


def mutated_documents(document: Any, open_: bool) -> Iterator[tuple[str, Any]]:
    """The document with one part more, or a required part left out."""
    if isinstance(document, dict):
        for key, value in document.items():
            rest = {name: each for name, each in document.items() if name != key}
            if key not in OPTIONAL_KEYS:
                yield f"without {key}", rest
            for what, each in mutated_documents(value, open_):
                yield f"{key} {what}", {**document, key: each}
        if not open_:
            yield "another key", {**document, "other": 1}
    if isinstance(document, list):
        yield "another entry", [*document, None]
        for at, value in enumerate(document):
            for what, each in mutated_documents(value, open_):
                yield f"{at} {what}", [*document[:at], each, *document[at + 1 :]]


def mutated(exchanged: Exchanged) -> Iterator[tuple[str, Exchanged]]:
    yield "another status", replace(exchanged, status=299)
    yield from mutated_headers(exchanged)
    kind = dict(exchanged.answered).get("Content-Type", "").partition(";")[0]
    if exchanged.method == "HEAD" or not kind:
        yield "a body", replace(exchanged, body=b"{}")
    elif kind.startswith("text/"):
        yield "another text", replace(exchanged, body=b"Pang")
    elif kind.endswith("json"):
        yield "no JSON", replace(exchanged, body=exchanged.body[:-2])
        for what, document in mutated_documents(json.loads(exchanged.body), kind != "application/json"):
            yield f"body: {what}", replace(exchanged, body=json.dumps(document).encode())


def test_every_changed_response_is_found(run: Run) -> None:
    one_each = {(shown(each), tuple(sorted(name for name, _ in each.answered))): each for each in run[0]}
    changed = [(each, *change) for each in one_each.values() for change in mutated(each)]
    assert len(changed) > 1000
    assert [f"{shown(each)}: {what}" for each, what, other in changed if not answer_faults(other)] == []


def test_every_parameter_rejects_something() -> None:
    for operation in operations():
        for where, each in parameters(operation):
            refused = [value for value in ("", "\x7f" * 300) if [*schema_faults(f"{where}/schema", value)]]
            assert refused, f"{operation} accepts anything for {each['name']}"


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        (Ask("GET", "/v2/app/manifests/v1"), "path name"),
        (Ask("PUT", f"{UPLOADS}x", LAYER), "query lacks digest"),
        (Ask("PATCH", f"{UPLOADS}x", LAYER, {"Content-Range": "bytes 0-6/x"}), "header content-range"),
        (Ask("GET", BLOB, headers={"X-Other": "1"}), "header parameter x-other is not described"),
        (Ask("GET", f"{PROJECTS}?page=0"), "query page"),
        (Ask("POST", PROJECTS, b'{"project_name":7}'), "$.project_name"),
        (Ask("POST", PROJECTS, b"{"), "no JSON"),
        (Ask("GET", BLOB, b"x"), "a body that is not described"),
        (Ask("GET", "/api/v2.0/nothing"), "no such operation"),
    ],
)
def test_a_request_that_differs_from_the_document_is_found(ask: Ask, fault: str) -> None:
    found = request_faults(Exchanged(ask.method, ask.target, tuple(ask.headers.items()), ask.body, 200, (), b""))
    assert len(found) == 1
    assert fault in found[0]


def test_without_credentials_only_the_open_operations_succeed() -> None:
    door = Stubbed()
    for each in requests_of(door):
        operation, _ = cast("tuple[Operation, object]", operation_of(each.method, each.target))
        free = resolved(operation.where)[1].get("security") == []
        assert (door.ask(replace(each, authorization=None)).status < 400) is free, operation
        answer = door.ask(each)
        found = answer_faults(replace(answer, headers=()))
        assert found == ([] if free else [f"status {answer.status} without credentials"])
