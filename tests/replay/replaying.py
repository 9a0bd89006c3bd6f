"""Replays a recording, with what comes before it, and checks the responses and the contents of SWR after each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image
from adapter.sandbox.replay import Replayer, Result
from tests.contract.http import Door
from tests.contract.openapi import Exchanged, answer_faults, request_faults
from tests.credentials import basic
from tests.replay import listings
from tests.replay.conftest import Environment, credentials
from tests.replay.expectations import complaints
from tests.replay.profiles import PROFILES
from tests.replay.scenarios import Difference, Scenario, State
from tests.replay.stored import Expected, current, damages, lookup_errors, pull_errors, within


def check(scenario: Scenario, environments: list[Environment], images: Mapping[str, Image], blobs: Blobs) -> None:
    """Asserts that Harbor can work with each response, and that SWR contains what was reported as stored."""
    swr, profile = environments[0].swr, PROFILES[scenario.profile]
    start = with_sources(scenario.state(images), scenario.sources(), blobs)
    swr.reset(scenario.profile, start, scenario.page)
    show_sources(Door(environments[0].adapter.contract, basic(profile.access_id)), scenario.sources())
    expected, all_results = Expected(start, profile, swr), []
    for part, environment in zip(scenario.parts, environments, strict=True):
        contents_before = swr.contents()
        errors, results = replay_part(part, environment, blobs)
        report_errors([*errors, *listings.differences(contents_before, results)], environment)
        expected.add(results)
        assert [*damages(swr, blobs, results, profile)] == []
        contents, limits = expected.without_deleted(swr.contents()), expected.contents()
        assert within(contents, limits) if profile.collects_garbage else contents == limits
        all_results += results
    door = Door(environments[-1].adapter.contract, basic(profile.access_id))
    assert [*pull_errors(door, current(all_results), profile)] == []


def replay_part(part: Scenario, environment: Environment, blobs: Blobs) -> tuple[list[str], list[Result]]:
    """What Harbor could not have worked with, and the results."""
    errors: list[str] = []
    replayer = Replayer(
        environment.adapter.contract,
        blobs,
        credentials=credentials(PROFILES[part.profile]),
        timeout=30,
        on_exchange=lambda result: errors.extend(lookup_errors(environment.swr, result)),
    )
    results = replayer.replay(part.recording())
    return [*errors, *response_errors(results, environment.adapter.contract, part.differs)], results


def response_errors(results: Iterable[Result], origin: str, differs: Mapping[int, Difference]) -> Iterator[str]:
    """Responses that Harbor could not work with, or that are not as in the OpenAPI document of the contract."""
    for result in results:
        yield from complaints(result, origin, differs.get(result.exchange.number))
        yield from deviations(result)


def report_errors(errors: list[str], environment: Environment) -> None:
    """Fails with the errors and the requests to SWR, if there are errors."""
    requests = (f"  {method} {path} {status}" for method, path, status in environment.swr.requests())
    assert not errors, "\n".join([*errors, "requests to SWR:", *requests])


def deviations(result: Result) -> list[str]:
    """Deviations of the request of Harbor and of the response from `openapi/contract.yaml`."""
    if result.status is None or result.target is None:
        return []
    request = result.exchange.request
    exchanged = Exchanged(
        request.method,
        result.target,
        request.headers,
        b"" if request.body is None else request.body.data,
        result.status,
        result.headers,
        result.body,
    )
    return [f"{result.exchange}: {each}" for each in (*request_faults(exchanged), *answer_faults(exchanged))]


def with_sources(start: State, sources: Iterable[tuple[str, str]], blobs: Blobs) -> State:
    """The state with the blobs in the repositories where the recorded peer found them."""
    seeded = tuple((repository, blobs[digest]) for repository, digest in sources)
    organizations = dict.fromkeys([*start.organizations, *(name.partition("/")[0] for name, _ in seeded)])
    return replace(start, organizations=tuple(organizations), blobs=(*start.blobs, *seeded))


def show_sources(door: Door, sources: Iterable[tuple[str, str]]) -> None:
    """Lets the adapter see these blobs, as when they were pushed, so that it finds their repository."""
    for repository, digest in sources:
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200
