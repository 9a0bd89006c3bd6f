"""docs/images.md agrees with the code."""

from __future__ import annotations

from pathlib import Path

from adapter.manifests.conversion import GZIP_ADVICE
from adapter.swr.annotations import SOURCE_DIGEST
from adapter.swr.media_types import BUILD_ADVICE
from tests.test_docs import code, sentences

PAGE = Path(__file__).parents[2] / "docs" / "images.md"


def test_quoted_messages_are_those_of_the_code() -> None:
    quoted = code(PAGE).splitlines()
    for fragment in (
        "because SWR rejects annotations",
        "has no manifest",
    ):
        assert fragment in quoted
        assert fragment in sentences()


def test_annotation_and_build_flags_are_those_of_the_code() -> None:
    named = code(PAGE)
    assert SOURCE_DIGEST in named
    for sentence in (BUILD_ADVICE, GZIP_ADVICE):
        assert sentence[sentence.index("(") + 1 : -1] in named
