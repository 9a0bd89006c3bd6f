"""What lists, their filters and deletions cost when a caller makes them long, many or odd."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapter.contract import repositories
from adapter.contract.list_cache import ListCache
from adapter.contract.queries import matcher
from adapter.credentials import Credentials, parse_credentials
from adapter.documents import LARGE_BYTES, Charges, DocumentMemory, current
from adapter.errors import TimedOut
from adapter.references import RepositoryName, digest_of
from adapter.swr import deletion
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.catalog import ListedTag
from adapter.swr.client import SwrClient
from adapter.swr.media_types import DOCKER_LIST
from adapter.swr.registry import Manifest
from adapter.swr.repository import Repository
from tests.contract.stubbed import Ask, Stubbed, StubSwr
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.swr.scripted import Swr, client_of
from tests.swr.test_management import NAMESPACES
from tests.swr.test_models import tag

REPOSITORY = RepositoryName("team", "app")
TAGS = f"{NAMESPACES}/team/repos/app/tags"
MINE = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHERS = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    server = HTTPServer(threaded=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def swr(server: HTTPServer) -> Iterator[Swr]:
    swr = Swr(server)
    swr.grant()
    yield swr
    server.clear()


@pytest.fixture
def client(swr: Swr) -> SwrClient:
    return client_of(swr)


def page(*entries: dict[str, Any]) -> Response:
    header = {"Content-Range": f"0-{len(entries)}/{len(entries)}"}
    return Response(json.dumps(entries), headers=header, content_type="application/json")


class TestPages:
    def test_each_manifest_is_parsed_once(self, swr: Swr, client: SwrClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """A translation too, which is looked at for its type, its configuration and its original."""
        index = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [], "annotations": {SOURCE_DIGEST: DIGEST}}
        manifests = [
            with_content_digest(json.dumps(index).encode()).decode(),
            json.dumps({"config": {"mediaType": "a/b"}}),
        ]
        swr.answer("GET", TAGS, page(*(tag(Tag=f"v{n}", manifest=each) for n, each in enumerate(manifests))))
        parsed: list[object] = []
        loads = json.loads

        def counted(text: Any, **options: Any) -> Any:
            parsed.append(text.decode() if isinstance(text, bytes) else text)
            return loads(text, **options)

        monkeypatch.setattr(json, "loads", counted)
        found = client.catalog.tags(Repository(MINE, REPOSITORY))
        assert [(each.source, each.config_type) for each in found] == [(DIGEST, None), (None, "a/b")]
        assert [parsed.count(each) for each in manifests] == [1, 1]

    def test_a_small_page_does_not_wait_for_a_large_one(self, swr: Swr, client: SwrClient) -> None:
        large = tag(manifest=json.dumps({"config": {"x": "y" * LARGE_BYTES}}))
        swr.answer("GET", TAGS, page(tag()))
        swr.answer("GET", f"{NAMESPACES}/team/repos/large/tags", page(large))
        memory = DocumentMemory()

        def tags(repository: RepositoryName) -> int:
            current.set(Charges(memory))
            return len(client.catalog.tags(Repository(MINE, repository)))

        with ThreadPoolExecutor(2) as pool:
            with memory.parsing:
                waiting = pool.submit(tags, RepositoryName("team", "large"))
                assert pool.submit(tags, REPOSITORY).result(10) == 1
                assert not waiting.done()
            assert waiting.result(10) == 1

    def test_a_dockyard_that_ignores_offset_and_order(self, swr: Swr, client: SwrClient) -> None:
        names = [f"app{number}" for number in range(30)]

        def turned(_: Request) -> Response:
            names.append(names.pop(0))
            found = [{"namespace": "team", "name": name} for name in names]
            return Response(json.dumps(found), content_type="application/json")

        swr.answer("GET", "/dockyard/v2/repositories", turned)
        mine = parse_credentials(ACCESS_ID, LOGIN_KEY, [PROJECT])
        assert len(client.catalog.repositories(mine, "team")) == 30

    def test_no_type_of_megabytes_is_kept(self, swr: Swr, client: SwrClient) -> None:
        """Whoever pushes an image writes the type of its configuration; lists with it stay in memory."""
        config = {"config": {"mediaType": "a/" + "b" * (1 << 20)}}
        swr.answer("GET", TAGS, page(tag(manifest=json.dumps(config))))
        assert [each.config_type for each in client.catalog.tags(Repository(MINE, REPOSITORY))] == [None]


@pytest.mark.parametrize("part", ["<", "<a>;", "<a>; rel=", "<a> ", " "])
def test_a_link_header_costs_no_more_than_its_length(client: SwrClient, part: str) -> None:
    """Bound by the test's own time: what looks at everything again for each letter takes minutes."""
    response = requests.Response()
    response.headers["Link"] = "<a>" + part * (1_000_000 // len(part))
    assert client.tag_lister._next(MINE, response) is None


class Counted(str):
    """A text that counts what it is compared with."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str(self) == other


class TestFilters:
    def test_a_query_of_many_names_is_not_compared_with_each(self) -> None:
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
    def test_a_size_that_is_no_number_is_no_defect(self, size: str) -> None:
        manifest = '{"config": {"size": %s}}' % size  # noqa: UP031 - braces
        stubbed = Stubbed(StubSwr(("application/vnd.docker.distribution.manifest.v2+json", manifest.encode())))
        target = "/api/v2.0/projects/team/repositories/app/artifacts/v1"
        assert stubbed.ask(Ask("GET", target)).status == 200


class TestKeptLists:
    def test_an_account_with_many_lists_displaces_its_own(self) -> None:
        seen = ListCache[int](most=100)
        asked: list[Credentials] = []

        def fetch(credentials: Credentials) -> list[int]:
            asked.append(credentials)
            return list(range(9))

        seen.read(OTHERS, "theirs", lambda: fetch(OTHERS), first=True, size=1)
        for number in range(200):
            seen.read(MINE, f"list {number}", lambda: fetch(MINE), first=True, size=1)
        for credentials, name in ((OTHERS, "theirs"), (MINE, "list 199")):
            asked.clear()
            seen.read(credentials, name, lambda: fetch(credentials), first=False, size=1)  # noqa: B023 - called at once
            assert asked == []
        assert sum(each.weight for each in seen._preserved.values()) <= 100
        assert sum(map(len, seen._keys.values())) == len(seen._preserved)

    def test_artifacts_of_one_repository_share_a_list(self) -> None:
        """Each costs as many requests at SWR as the repository has pages of tags."""
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


class TestDeletion:
    def test_it_does_not_go_on_for_hours(self, swr: Swr, client: SwrClient, monkeypatch: pytest.MonkeyPatch) -> None:
        data = b"{}"
        swr.answer("GET", TAGS, page(*(tag(Tag=f"v{number}", digest=digest_of(data)) for number in range(90))))
        for number in range(90):
            head = {"Docker-Content-Digest": digest_of(data), "Content-Type": DOCKER_LIST}
            swr.answer("HEAD", f"/v2/{REPOSITORY}/manifests/v{number}", Response(data, headers=head))
            swr.answer("DELETE", f"{TAGS}/v{number}", 204)
        monkeypatch.setattr(deletion, "LONGEST", -1.0)
        with pytest.raises(TimedOut, match=r"after 0 tags: delete again"):
            client.deletion.manifest(Repository(MINE, REPOSITORY), digest_of(data))
        assert not [request for request in swr.seen if request.method == "DELETE"]
