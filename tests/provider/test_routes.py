from __future__ import annotations

import pytest

from adapter.provider.routes import API, Kind, Route, is_routed_to_adapter, match, origin_form


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/replication/adapters", Route(Kind.ADAPTERS)),
        ("GET", "/registries?page=1", Route(Kind.REGISTRIES)),
        ("GET", "/registries/", Route(Kind.REGISTRIES)),
        ("GET", "//registries", Route(Kind.REGISTRIES)),
        ("GET", "/x/../registries/4", Route(Kind.REGISTRY, 4)),
        ("GET", "/registr%69es/4", Route(Kind.REGISTRY, 4)),
        ("GET", "/registries/4/info", Route(Kind.INFO, 4)),
        ("GET", "/replication/policies/+7", Route(Kind.POLICY)),
        ("GET", "/replication/policies/%2B7", Route(Kind.POLICY)),
        ("GET", "/replication/policies/-7", None),
        ("GET", "/projects/16/summary", Route(Kind.SUMMARY)),
        ("GET", "/projects/some-name/summary", Route(Kind.SUMMARY)),
        ("PUT", "/registries/4", Route(Kind.EDIT, 4)),
        ("GET", "/registries/0", None),
        ("GET", "/registries/00/info", None),
        ("PUT", "/registries/0", None),
        ("GET", "/registries/٤", None),
        ("HEAD", "/registries", None),
        ("GET", "/registriesX", None),
        ("GET", "/projects/16/summary/x", None),
    ],
)
def test_route_of_a_request(method: str, path: str, route: Route | None) -> None:
    assert match(method, API + path) == route


@pytest.mark.parametrize(
    ("path", "routed"),
    [
        ("/registries/4", True),
        ("/replication/policies/7", True),
        ("/projects/16/summary", True),
        ("/registriesX", False),
        ("/projects/16", False),
        ("/replication/executions", False),
    ],
)
def test_paths_that_nginx_sends_to_the_adapter(path: str, routed: bool) -> None:
    assert is_routed_to_adapter(API + path) is routed


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%2fb?q={x}", "/a%2fb?q={x}"),
        ("http://harbor.example:80/a?b=http://c/", "/a?b=http://c/"),
        ("http://harbor.example", "/"),
        ("/a?b=http://c/", "/a?b=http://c/"),
        ("*", "*"),
    ],
)
def test_target_in_origin_form(target: str, path: str) -> None:
    assert origin_form(target) == path
