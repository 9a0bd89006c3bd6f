"""Artifacts, in lists and one by one, as Harbor requests them for pull rules (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapter.contract.list_cache import ListCache
from adapter.swr.catalog import ListedTag
from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import Start
from tests.contract.http import Door, asked, digest_of, refused
from tests.contract.listing import CONFIG, HARBORS_QUERY, PROJECTS, manifest, many, of, seed, walk
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.contract.test_pagination import next_in
from tests.running import RunningSandbox


class TestList:
    def test_artifact(self, door: Door, swr: RunningSandbox) -> None:
        digest = seed(swr, "team/a/b", "v1", "latest")
        answer = door.ask("GET", f"{of('team/a/b')}?{HARBORS_QUERY}")
        [artifact] = answer.json
        assert answer.header("X-Total-Count") == "1"
        assert (artifact["digest"], artifact["size"], artifact["type"]) == (digest, 1100, "IMAGE")
        assert (artifact["media_type"], artifact["manifest_media_type"]) == (CONFIG, DOCKER_MANIFEST)
        assert [each["name"] for each in artifact["tags"]] == ["latest", "v1"]
        assert artifact["push_time"] == artifact["tags"][0]["push_time"] > artifact["tags"][1]["push_time"]

    @pytest.mark.parametrize("path", ["a%252Fb%252Fc", "a%2Fb%2Fc", "a/b/c"])
    def test_nested_names_however_often_they_are_escaped(self, door: Door, swr: RunningSandbox, path: str) -> None:
        digest = seed(swr, "team/a/b/c", "v1")
        seed(swr, "team/a/b/c", "v2", data=manifest(1))
        target = f"{PROJECTS}/{path}/artifacts?page_size=1"
        assert {each["digest"] for each in walk(door, target)} == {digest, digest_of(manifest(1))}
        [page] = asked(swr, "GET", "/v2/manage/namespaces")
        assert page["path"] == "/v2/manage/namespaces/team/repos/a$b$c/tags"

    def test_pages_of_harbor_and_of_swr(self, door: Door, swr: RunningSandbox) -> None:
        """As in the recording `pull-many-pages`, with pages of 7 at SWR."""
        swr.set_knobs(page_cap=7)
        digests = many(swr, "team/many", 120)
        first = door.ask("GET", f"{of('team/many')}?{HARBORS_QUERY}")
        assert (len(first.json), first.header("X-Total-Count")) == (100, "120")
        second = door.ask("GET", next_in(first.header("Link")))
        assert second.json == door.ask("GET", f"{of('team/many')}?page=2&{HARBORS_QUERY}").json
        assert [each["digest"] for each in first.json + second.json] == sorted(digests)
        assert len(asked(swr, "GET", "/v2/manage/namespaces")) == 18

    def test_push_between_two_pages_hides_and_repeats_nothing(self, start: Start, swr: RunningSandbox) -> None:
        """Whichever replica responds: the second one has not seen the first page."""
        replicas = [Door(start().contract), Door(start().contract)]
        digests, pushed = many(swr, "team/many", 40), set[str]()
        found: list[str] = []
        target = f"{of('team/many')}?page_size=7"
        while target:
            answer = replicas[len(found) % 2].ask("GET", target)
            found += [each["digest"] for each in answer.json]
            target = next_in(answer.headers.get("Link", ""))
            for number in range(len(found), len(found) + 5):
                pushed.add(seed(swr, "team/many", f"new{number}", data=manifest(1000 + number)))
        assert [each for each in found if each in digests] == sorted(digests)
        assert max(Counter(found).values()) == 1
        assert set(found) <= digests | pushed

    def test_first_page_is_always_fetched(self, door: Door, swr: RunningSandbox) -> None:
        seed(swr, "team/app", "v1")
        assert len(walk(door, of("team/app"))) == 1
        seed(swr, "team/app", "v2", data=manifest(1))
        assert len(walk(door, of("team/app"))) == 2
        swr.store.delete_tag("team/app", "v1")
        assert [each["name"] for each in walk(door, of("team/app"))[0]["tags"]] == ["v2"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("tags%3Dv1", [["v1", "v2"]]),
            ("tags%3D~v", [["v1", "v2"], ["v3"]]),
            ("tags%3D%7Bv3%20x%7D", [["v3"]]),
            ("tags%3D*", [["v1", "v2"], ["v3"]]),
            ("tags%3Dnil", []),
            (f"digest%3D{digest_of(manifest(1))}", [["v3"]]),
            ("type%3DIMAGE", [["v1", "v2"], ["v3"]]),
        ],
    )
    def test_queries(self, door: Door, swr: RunningSandbox, query: str, found: list[list[str]]) -> None:
        seed(swr, "team/app", "v1", "v2")
        seed(swr, "team/app", "v3", data=manifest(1))
        answer = door.ask("GET", f"{of('team/app')}?q={query}")
        assert sorted([tag["name"] for tag in each["tags"]] for each in answer.json) == found


def test_weight_of_a_cached_artifact_is_its_number_of_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    # A list of two artifacts with three tags weighs 6, so the second list displaces the first one.
    defaults = ListCache.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(ListCache.__init__, "__kwdefaults__", {**defaults, "max_weight": 11})
    listed: list[str] = []

    class CountingSwr(StubSwr):
        def tags(self, *called: Any) -> list[ListedTag]:
            listed.append(str(called[0]))
            return super().tags()

    door = Stubbed(CountingSwr())
    for name, page in (("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 2)):
        assert door.ask(Ask("GET", f"{of(f'team/{name}')}?page_size=1&page={page}")).status == 200
    assert listed == ["team/a", "team/b", "team/a"]


class TestSingleArtifact:
    def test_is_as_in_the_list(self, door: Door, swr: RunningSandbox) -> None:
        digest = seed(swr, "team/a/b", "v1", "latest")
        seed(swr, "team/a/b", "other", data=manifest(1))
        by_digest = door.ask("GET", f"{of('team/a/b')}/{digest}?with_accessory=true&with_tag=true")
        [listed] = [each for each in walk(door, of("team/a/b")) if each["digest"] == digest]
        assert (by_digest.status, by_digest.json) == (200, listed)
        assert door.ask("GET", f"{of('team/a/b')}/v1").json == listed
        without_tags = door.ask("GET", f"{of('team/a/b')}/{digest}?with_tag=false").json
        assert without_tags == {**listed, "tags": [], "push_time": None}

    def test_without_tags(self, door: Door, swr: RunningSandbox) -> None:
        child = digest_of(manifest(7))
        swr.store.put_manifest("team/app", child, manifest(7), DOCKER_MANIFEST)
        found = door.ask("GET", f"{of('team/app')}/{child}?with_accessory=true").json
        assert (found["digest"], found["tags"], found["push_time"]) == (child, [], None)

    @pytest.mark.parametrize("code", ["4039002", "4040113"])
    def test_without_permission_to_list_tags(self, door: Door, swr: RunningSandbox, code: str) -> None:
        digest = seed(swr, "team/app", "v1", "v2")
        body = [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": "no", "detail": ""}]
        swr.faults({"origin": "api", "path": "/tags", "status": int(code[:3]), "body": body, "times": 0})
        assert [each["name"] for each in door.ask("GET", f"{of('team/app')}/v2").json["tags"]] == ["v2"]
        assert door.ask("GET", f"{of('team/app')}/{digest}").json["tags"] == []

    def test_while_the_account_is_blocked(self, start: Start, swr: RunningSandbox) -> None:
        # The adapter remembers the error, so it serves no other test.
        door = Door(start().contract)
        seed(swr, "team/app", "v1")
        body = {"error_code": "SVCSTG.SWR.4031033", "error_msg": "Not allow to login, upload or download image"}
        swr.faults({"origin": "api", "path": "/tags", "status": 403, "body": body, "times": 1})
        refused(door.ask("GET", f"{of('team/app')}/v1"), 403, "blocked this account")

    def test_unknown_size(self, door: Door, swr: RunningSandbox) -> None:
        seed(swr, "team/app", "v1", data=b'{"schemaVersion": 2, "layers": [7]}')
        found = door.ask("GET", f"{of('team/app')}/v1?with_tag=false").json
        assert (found["size"], found["manifest_media_type"]) == (None, DOCKER_MANIFEST)

    @pytest.mark.parametrize(
        ("reference", "status"),
        [("v9", 404), (digest_of(b"other"), 404), ("sha256:x", 400), ("-", 400), ("a" * 200, 400)],
    )
    def test_missing_or_malformed(self, door: Door, swr: RunningSandbox, reference: str, status: int) -> None:
        seed(swr, "team/app", "v1")
        refused(door.ask("GET", f"{of('team/app')}/{reference}"), status)
