"""docs/images.md says what the code says."""

from __future__ import annotations

from pathlib import Path

from adapter.manifests.conversion import _GZIP
from adapter.swr.annotations import SOURCE_DIGEST
from adapter.swr.media_types import BUILD_FLAGS
from tests.test_docs import code, sentences

PAGE = Path(__file__).parents[2] / "docs" / "images.md"


def test_sentences_that_the_page_quotes_are_those_of_the_code() -> None:
    quoted = code(PAGE).splitlines()
    for fragment in (
        "because SWR takes no annotations",
        "has no manifest",
    ):
        assert fragment in quoted
        assert fragment in sentences()


def test_the_annotation_and_the_build_flags() -> None:
    named = code(PAGE)
    assert SOURCE_DIGEST in named
    for sentence in (BUILD_FLAGS, _GZIP):
        assert sentence.partition(": ")[2] in named
