"""OCI indexes of images as Hypothesis draws them: every form of them that BuildKit and other tools make, in small."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

from adapter.sandbox.recordings.images import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    EMPTY_JSON,
    IN_TOTO,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Document,
    Image,
    descriptor,
    digest,
)

TAR: Final = "application/vnd.oci.image.layer.v1.tar"
FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
GZIP: Final = OCI_LAYER
ZSTD: Final = f"{TAR}+zstd"

ATTESTATION: Final = {"vnd.docker.reference.type": "attestation-manifest"}
UNKNOWN: Final = {"architecture": "unknown", "os": "unknown"}


@dataclass(frozen=True)
class Member:
    """What an index names: its manifest with the blobs that go to a registry, and the descriptor that names it."""

    image: Image
    descriptor: Document
    attests: bool = False

    @property
    def document(self) -> Document:
        """The manifest, read."""
        found: Document = json.loads(self.image.manifest)
        return found

    @property
    def contents(self) -> list[str]:
        """Digests of the configuration and the layers, in order."""
        return [part["digest"] for part in (self.document["config"], *(self.document["layers"] or []))]


@dataclass(frozen=True)
class Index:
    """An OCI index; `members` in the order in which it names them."""

    manifest: bytes
    members: tuple[Member, ...]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def images(self) -> tuple[Member, ...]:
        """Those that are no attestations."""
        return tuple(member for member in self.members if not member.attests)

    @property
    def contents(self) -> list[tuple[Document, list[str]]]:
        """Of each image, in order: its platform as Docker's list has it, and the digests of its parts."""
        return [(docker_platform(member.descriptor["platform"]), member.contents) for member in self.images]


def docker_platform(platform: Document) -> Document:
    """The fields that Docker's list has, without those that say nothing."""
    known = ("architecture", "os", "os.version", "os.features", "variant", "features")
    return {key: platform[key] for key in known if platform.get(key)}


def index_of(*members: Member, **fields: Any) -> Index:
    """An index that names the members."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, **fields}
    document["manifests"] = [member.descriptor for member in members]
    return Index(json.dumps(document).encode(), members)


# What the drawn documents consist of

# As bytes of UTF-8 or escaped, as the writer of the document likes.
texts = st.text(max_size=8) | st.sampled_from(
    ["größer", "図", "\U0001f433", 'quo"te', "100 %", "line\nbreak", "\u2028"]
)
_words = st.from_regex(r"[a-z][a-z0-9.]{0,5}", fullmatch=True)
notes = st.dictionaries(_words.map("org.example.{}".format) | texts, texts, max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
unknown_fields = st.dictionaries(texts.map("x-{}".format), _json, max_size=2)
"""Which the spec tells readers to pass over."""

architectures = st.sampled_from(["amd64", "arm64", "arm", "s390x", "riscv64", "größer"])
systems = st.sampled_from(["linux", "windows"])


@st.composite
def platforms(draw: st.DrawFn) -> Document:
    """With what OCI and Docker have beside architecture and system; seldom twice the same, but that too."""
    optional = {
        "variant": st.sampled_from(["v6", "v7", "v8", ""]),
        "os.version": st.sampled_from(["10.0.14393.1066", "10.0.20348.2113"]),
        "os.features": st.lists(st.sampled_from(["win32k", "größer"]), max_size=2),
        "features": st.just(["sse4"]),
        "x-unknown": _json,
    }
    return draw(st.fixed_dictionaries({"architecture": architectures, "os": systems}, optional=optional))


@st.composite
def written(draw: st.DrawFn, document: Document) -> bytes:
    """The document as bytes, as any writer of JSON might write it."""
    ascii_only, indent = draw(st.booleans()), draw(st.sampled_from([None, 3]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    end = draw(st.sampled_from(["", "\n"]))
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent, separators=separators)
    return (text + end).encode()


@st.composite
def _decorated(draw: st.DrawFn, known: Document) -> Document:
    """A document or descriptor with fields that OCI allows, and with some that nobody knows."""
    more: Document = draw(unknown_fields)
    if draw(st.booleans()):
        more["annotations"] = draw(notes)
    return {**more, **known}


@st.composite
def _layers(draw: st.DrawFn) -> tuple[Document, bytes | None]:
    """A layer's descriptor, and its bytes unless they are elsewhere."""
    data = draw(st.binary(max_size=12))
    kind = draw(st.sampled_from([GZIP, GZIP, TAR, FOREIGN, f"{FOREIGN}+gzip"]))
    known = descriptor(kind, data)
    if kind.startswith(FOREIGN) and draw(st.booleans()):
        known["urls"] = ["https://layers.example/größer"]
        return draw(_decorated(known)), None
    return draw(_decorated(known)), data


@st.composite
def images(draw: st.DrawFn, *, docker: bool = False) -> Image:
    """An image of one platform: an OCI manifest, or Docker's schema 2."""
    config = json.dumps({"architecture": draw(architectures), "os": draw(systems), "n": draw(st.integers())}).encode()
    layers = draw(st.lists(_layers(), max_size=3))
    blobs = [config, *(data for _, data in layers if data is not None)]
    if docker:
        plain = [descriptor(DOCKER_LAYER, data) for _, data in layers if data is not None]
        parts = {"config": descriptor(DOCKER_CONFIG, config), "layers": plain}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, **parts}).encode()
        return Image(manifest, DOCKER_MANIFEST, blobs)
    known: Document = {"schemaVersion": 2}
    if draw(st.booleans()):  # the spec lets it be left out
        known["mediaType"] = OCI_MANIFEST
    known["config"] = draw(_decorated(descriptor(OCI_CONFIG, config)))
    known["layers"] = [described for described, _ in layers]
    return Image(draw(written(draw(_decorated(known)))), OCI_MANIFEST, blobs)


@st.composite
def _attestations(draw: st.DrawFn, of: Image) -> Member:
    """As BuildKit adds them, in its older form and in the one with `artifactType`; seldom without its annotation."""
    statement = json.dumps({"subject": of.digest, "n": draw(st.integers(0, 9))}).encode()
    document: Document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST}
    if draw(st.booleans()):
        config, kind = b"{}", EMPTY_JSON
        document["artifactType"] = "application/vnd.docker.attestation.manifest.v1+json"
        document["subject"] = descriptor(of.media_type, of.manifest)
    else:
        config, kind = b'{"architecture":"unknown","os":"unknown"}', OCI_CONFIG
    document |= {"config": descriptor(kind, config), "layers": [descriptor(IN_TOTO, statement)]}
    image = Image(json.dumps(document).encode(), OCI_MANIFEST, [config, statement])
    described: Document = {**descriptor(OCI_MANIFEST, image.manifest), "platform": UNKNOWN}
    if draw(st.booleans()):
        described["annotations"] = {**ATTESTATION, "vnd.docker.reference.digest": of.digest}
    return Member(image, described, attests=True)


@st.composite
def members(draw: st.DrawFn, *, docker: bool = False) -> Member:
    """An image with the descriptor that an index has of it."""
    image = draw(images(docker=docker))
    known = {**descriptor(image.media_type, image.manifest), "platform": draw(platforms())}
    if draw(st.booleans()):
        known["artifactType"] = "application/vnd.example.thing"
    return Member(image, draw(_decorated(known)))


@st.composite
def indexes(draw: st.DrawFn, *, most: int = 4) -> Index:
    """An OCI index of 1 to `most` images: OCI's, and seldom one of Docker's.

    A platform, or a child, may be there twice; attestations stand anywhere.
    """
    found = [draw(members(docker=draw(st.integers(0, 9)) == 9)) for _ in range(draw(st.integers(1, most)))]
    if draw(st.booleans()):
        again = draw(st.sampled_from(found))
        found.append(replace(again, descriptor={**again.descriptor, "platform": draw(platforms())}))
    for image in draw(st.lists(st.sampled_from(found), max_size=2)):
        found.insert(draw(st.integers(0, len(found))), draw(_attestations(image.image)))
    known: Document = {"schemaVersion": 2}
    if draw(st.booleans()):
        known["mediaType"] = OCI_INDEX
    if draw(st.booleans()):
        known["artifactType"] = "application/vnd.example.thing"
    known["manifests"] = [member.descriptor for member in found]
    return Index(draw(written(draw(_decorated(known)))), tuple(found))
