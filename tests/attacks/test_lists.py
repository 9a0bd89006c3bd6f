"""What lists and their filters cost if a client makes them long or requests many."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapter.contract import repositories
from adapter.contract.list_cache import ListCache
from adapter.contract.queries import matcher
from adapter.credentials import Credentials, parse_credentials
from adapter.swr.catalog import ListedTag
from adapter.swr.manifest_validation import Manifest
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY

MINE = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHERS = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])


class Counted(str):
    """A text that counts its comparisons."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str(self) == other


class TestFilters:
    def test_a_query_with_many_names_costs_few_comparisons(self) -> None:
        matches = matcher("{" + " ".join(f"'n{number}'" for number in range(10_000)) + "}")
        Counted.compared = 0
        assert matches(Counted("n9999"))
        assert not matches(Counted("other"))
        assert Counted.compared < 10

    def test_a_list_is_filtered_once_for_all_its_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class ManyTags(StubSwr):
            def tags(self, *_: Any) -> list[ListedTag]:
                return [ListedTag(f"t{n:03}", None, None, None, None, is_list=False) for n in range(100)]

        compared: list[str] = []

        def match(text: str) -> bool:
            compared.append(text)
            return True

        monkeypatch.setattr(repositories, "matcher", lambda _: match)
        stubbed, target = Stubbed(ManyTags()), "/api/v2.0/projects/team/repositories/app/artifacts?q=tags%3Dt"
        for number in range(1, 51):
            answer = stubbed.ask(Ask("GET", f"{target}&page_size=2&page={number}"))
            assert len(json.loads(answer.body)) == 2
        assert len(compared) == 100

    @pytest.mark.parametrize("size", ["1e999", "-1e999", "NaN", '"9"', "[]", "9" * 4000])
    def test_an_invalid_size_is_no_internal_error(self, size: str) -> None:
        manifest = '{"config": {"size": %s}}' % size  # noqa: UP031 - braces
        stubbed = Stubbed(StubSwr(("application/vnd.docker.distribution.manifest.v2+json", manifest.encode())))
        target = "/api/v2.0/projects/team/repositories/app/artifacts/v1"
        assert stubbed.ask(Ask("GET", target)).status == 200


class TestListCache:
    def test_many_lists_displace_only_lists_of_the_same_account(self) -> None:
        seen = ListCache[int](max_weight=100)
        fetched: list[Credentials] = []

        def fetch(credentials: Credentials) -> list[int]:
            fetched.append(credentials)
            return list(range(9))

        seen.read(OTHERS, "theirs", lambda: fetch(OTHERS), first=True, size=1)
        for number in range(200):
            seen.read(MINE, f"list {number}", lambda: fetch(MINE), first=True, size=1)
        for credentials, name in ((OTHERS, "theirs"), (MINE, "list 199")):
            fetched.clear()
            seen.read(credentials, name, lambda: fetch(credentials), first=False, size=1)  # noqa: B023 - called at once
            assert fetched == []
        assert sum(each.weight for each in seen._lists.values()) <= 100
        assert sum(map(len, seen._keys.values())) == len(seen._lists)

    def test_artifacts_of_one_repository_share_a_list(self) -> None:
        """A list costs one request to SWR per page of tags."""
        over, asked, lists = threading.Event(), threading.Semaphore(0), 0

        class SlowTags(StubSwr):
            def tags(self, *called: Any) -> list[ListedTag]:
                nonlocal lists
                lists += 1
                assert over.wait(10)
                time.sleep(0.2)
                return super().tags(*called)

            def manifest(self, *called: Any, head: bool) -> Manifest:
                asked.release()
                return super().manifest(*called, head=head)

        stubbed = Stubbed(SlowTags())
        target = Ask("GET", "/api/v2.0/projects/team/repositories/app/artifacts/v1")
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(stubbed.ask, target) for _ in range(8)]
            assert all(asked.acquire(timeout=10) for _ in answers)
            time.sleep(0.2)
            over.set()
            assert {each.result(10).status for each in answers} == {200}
        assert lists < 8
