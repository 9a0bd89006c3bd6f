"""The table of SWR's quirks: each one a switch, with the fact it comes from and how well that fact is known.

Evidence tags (docs/facts/swr.md, top): DOC documented by the vendor, CODE relied on by the vendor's own client code,
HW seen on the sister product, 3P third party, UNK not established. What is UNK can be switched both ways, so that
tests can try both.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

Value = bool | int | str


@dataclass(frozen=True)
class Knob:
    """One quirk. The type of the default is the type of the knob; `choices` closes the set of texts."""

    name: str
    default: Value
    help: str
    source: str
    tag: str
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> Value:
        """The value if it fits the knob. Raises ValueError."""
        if not isinstance(value, bool | int | str) or type(value) is not type(self.default):
            raise ValueError(f"knob {self.name} takes {type(self.default).__name__}, not {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"knob {self.name} takes one of {', '.join(self.choices)}, not {value!r}")
        if isinstance(value, int) and value < 0:
            raise ValueError(f"knob {self.name} must not be negative")
        return value

    def parse(self, text: str) -> Value:
        """The value written as text: on/off, true/false, 1/0 for switches. Raises ValueError."""
        if isinstance(self.default, bool):
            words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
            if text.lower() not in words:
                raise ValueError(f"knob {self.name} takes on or off, not {text!r}")
            return words[text.lower()]
        if isinstance(self.default, int):
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"knob {self.name} takes a number, not {text!r}")
            return self.check(int(text))
        return self.check(text)


def _fact(section: str) -> str:
    return f"docs/facts/swr.md §{section}"


KNOBS: tuple[Knob, ...] = (
    # the token endpoint
    Knob("token_post", False, "the token endpoint answers POST too (off: 404)", _fact("5"), "HW"),
    Knob("token_seconds", 900, "life of a registry token in seconds", _fact("5"), "HW"),
    Knob("expires_in", False, "the token answer carries expires_in", _fact("5"), "HW"),
    Knob(
        "scopes",
        "all",
        "a token for several scopes: granted, for the first one only, or refused",
        _fact("5"),
        "HW",
        ("all", "first", "refused"),
    ),
    Knob("plain_secret", False, "the plain SK is accepted as password beside the login key", _fact("2.1"), "DOC"),
    Knob("deny_missing_organization", True, "a scope in a missing organization is refused with 401", _fact("5"), "HW"),
    Knob(
        "excess_scope",
        "refuse",
        "a scope that is not all allowed: refused or cut down",
        _fact("5"),
        "UNK",
        ("refuse", "downscope"),
    ),
    # /v2 in general
    Knob("realm_slash", True, "the realm of the challenge ends with a slash", _fact("6"), "HW"),
    Knob(
        "push_challenge_actions",
        False,
        "the challenge to a push names its actions (off: an empty list)",
        _fact("6"),
        "HW",
    ),
    Knob("basic_on_v2", False, "Basic is accepted on /v2 itself", _fact("6"), "HW"),
    Knob("forserver", True, "answers carry `forserver: swr`", _fact("6"), "3P"),
    Knob(
        "wrong_scope_status",
        "401",
        "answer to a token that does not cover the request",
        _fact("6"),
        "UNK",
        ("401", "403"),
    ),
    Knob("catalog", False, "/v2/_catalog exists (off: 404)", _fact("6"), "HW"),
    Knob("missing_tags_null", True, "tags/list of a missing repository is 200 with null (off: 404)", _fact("6"), "HW"),
    Knob("empty_tags", 0, "so many empty strings stand in tags/list", _fact("6"), "HW"),
    Knob("tags_paging", True, "tags/list honours n and last, with a Link", _fact("6"), "UNK"),
    Knob("tags_page", 0, "most tags of a page of tags/list when n is not given; 0 = all", _fact("6"), "UNK"),
    # uploads
    Knob("location", "absolute", "form of the upload Location", _fact("10"), "UNK", ("absolute", "relative")),
    Knob(
        "upload_range", "0-N", "form of the upload Range header", _fact("10"), "UNK", ("0-N", "0-0", "bytes", "absent")
    ),
    Knob("upload_uuid", True, "uploads carry Docker-Upload-UUID", _fact("10"), "UNK"),
    Knob("stale_state", True, "an older Location of an upload still works (off: 404)", _fact("10"), "UNK"),
    Knob("multiple_patches", True, "an upload takes more than one PATCH (off: 416)", _fact("10"), "UNK"),
    Knob("chunk_order", True, "a chunk out of order is refused with 416 (off: appended blindly)", _fact("6"), "UNK"),
    Knob(
        "single_post", False, "POST ?digest= with a body completes a blob (off: 202, body ignored)", _fact("6"), "UNK"
    ),
    Knob(
        "mount",
        "202",
        "answer to ?mount=&from=: an upload; the blob; the blob, but the answer does not name it (silent) or it is not "
        "there (false); or a refusal",
        _fact("6"),
        "UNK",
        ("202", "201", "silent", "false", "405"),
    ),
    Knob("mount_scope", True, "a mount needs a token that may read the source too", _fact("6"), "UNK"),
    Knob(
        "check_digest",
        True,
        "the digest of a blob is checked (off: believed, stored under what was announced)",
        _fact("6"),
        "UNK",
    ),
    Knob("discard_cut_uploads", True, "an upload that was cut is gone", _fact("4.13"), "DOC"),
    Knob("upload_status", True, "GET of an upload answers 204 (off: 404)", _fact("6"), "UNK"),
    Knob("upload_delete", True, "DELETE of an upload answers 204 (off: 405)", _fact("10"), "UNK"),
    Knob("max_layer_bytes", 10 * 1024**3, "largest layer in bytes", _fact("4.13"), "DOC"),
    # manifests
    Knob(
        "oci",
        "refuse-index",
        "what of OCI's types is refused",
        _fact("6"),
        "HW",
        ("accept", "refuse-index", "refuse-all"),
    ),
    Knob("artifacts", True, "charts, signatures and other artifacts are accepted", _fact("6"), "UNK"),
    Knob("zstd", True, "layers compressed with zstd are accepted", _fact("10"), "3P"),
    Knob("attestations", False, "a Docker list may name attestations (off: refused)", _fact("6"), "3P"),
    Knob("index_attestations", True, "an OCI index, where accepted, may name attestations", _fact("6"), "UNK"),
    Knob("refused_artifact", "", "the one artifactType that is refused; empty = none", _fact("6"), "UNK"),
    Knob("oci_children", True, "a Docker list may name OCI manifests (off: refused)", _fact("10"), "HW"),
    Knob(
        "unknown_fields",
        True,
        "Docker documents may have fields that Docker's formats have not, as annotations are (off: refused)",
        _fact("6"),
        "UNK",
    ),
    Knob(
        "forget",
        "nothing",
        "what a repository forgets after each push to a tag: blobs that no manifest names, manifests that no tag leads "
        "to, or both",
        _fact("10"),
        "UNK",
        ("nothing", "blobs", "manifests", "both"),
    ),
    Knob(
        "accept_types",
        False,
        "a manifest whose type the Accept header leaves out is 404 (off: it is served)",
        _fact("6"),
        "UNK",
    ),
    Knob("check_references", True, "what a manifest names must be in the repository", _fact("6"), "UNK"),
    Knob("head_digest", True, "HEAD of a manifest carries Docker-Content-Digest", _fact("6"), "HW"),
    Knob("put_digest", True, "PUT of a blob or manifest answers with Docker-Content-Digest", _fact("10"), "CODE"),
    Knob("manifest_delete", "accept", "DELETE of a manifest", _fact("6"), "UNK", ("accept", "tag", "digest", "refuse")),
    Knob(
        "delete_by_tag",
        "tag",
        "what DELETE of a manifest by tag deletes: the tag, or the manifest with all its tags",
        _fact("6"),
        "UNK",
        ("tag", "manifest"),
    ),
    Knob(
        "delete_actions",
        "push",
        "what a token must allow for DELETE: pushing, or all (`*`)",
        _fact("6"),
        "UNK",
        ("push", "all"),
    ),
    Knob(
        "manifest_type",
        "exact",
        "Content-Type of a manifest that is read: its own, application/json, or none",
        _fact("6"),
        "UNK",
        ("exact", "json", "absent"),
    ),
    # blobs and the object store
    Knob(
        "blob_redirect", "307", "GET of a blob redirects to the object store", _fact("6"), "UNK", ("307", "302", "off")
    ),
    Knob("head_redirect", False, "HEAD of a blob redirects too", _fact("6"), "UNK"),
    Knob(
        "objects_refuse_authorization", True, "the object store refuses requests with Authorization", _fact("6"), "HW"
    ),
    Knob("objects_range", True, "the object store honours Range", _fact("6"), "3P"),
    Knob("objects_length", True, "the object store announces a length (off: chunked)", _fact("6"), "UNK"),
    Knob("signed_url_seconds", 900, "life of a link into the object store in seconds", _fact("6"), "UNK"),
    # limits
    Knob(
        "rate", 20, "requests a second and tenant on the registry host, more is 503; 0 = no limit", _fact("4.13"), "DOC"
    ),
    Knob("retry_after", 0, "Retry-After of such a 503 in seconds; 0 = absent", _fact("10"), "UNK"),
    Knob("organizations", 5, "organizations a tenant may have; 0 = no limit", _fact("4.13"), "DOC"),
    Knob("reserved", "library", "organization names nobody may have, with commas", _fact("4.13"), "DOC"),
    Knob("dots", True, "organization names may have dots", _fact("4.13"), "DOC"),
    # the management API
    Knob("signing", "sdk", "signature algorithms that are accepted", _fact("3.2"), "DOC", ("sdk", "aws4", "any")),
    Knob("clock_skew_seconds", 900, "how far the clock of a signature may be off", _fact("3.1"), "DOC"),
    Knob("lockout_after", 5, "bad signatures in a row that lock an AK; 0 = never", _fact("3.1"), "DOC"),
    Knob("lockout_seconds", 300, "how long an AK stays locked", _fact("3.1"), "DOC"),
    Knob("default_page", 100, "entries of a page if no limit is given", _fact("4"), "DOC"),
    Knob("max_page", 1000, "largest limit", _fact("4"), "DOC"),
    Knob("paging_pairs", True, "offset and limit only together", _fact("4"), "CODE"),
    Knob("page_cap", 0, "entries of a page at most, whatever its limit; 0 = as many as the limit", _fact("4"), "UNK"),
    Knob(
        "later_pages",
        "served",
        "pages of a list after its first one: served; 404 where they would be empty (end); or always 404",
        _fact("4"),
        "UNK",
        ("served", "end", "404"),
    ),
    Knob(
        "content_range", "always", "when listings carry Content-Range", _fact("4"), "DOC", ("always", "paged", "never")
    ),
    Knob(
        "ordering",
        True,
        "order_column and order_type of listings are honoured (off: newest first)",
        _fact("4.5"),
        "UNK",
    ),
    Knob(
        "listing_parameters",
        "any",
        "how listings want to be asked: in any form, with a filter, or without an order (else 400)",
        _fact("4.4"),
        "DOC",
        ("any", "filter", "unordered"),
    ),
    Knob("listed_names", "slash", "how listings write a nested name", _fact("4"), "UNK", ("slash", "dollar")),
    Knob(
        "times",
        "rfc3339",
        "how listings write times: as documented, with a blank for the T, as numbers, or as what is not a time",
        _fact("4.5"),
        "UNK",
        ("rfc3339", "blank", "seconds", "milliseconds", "digits", "empty", "null", "zero", "words"),
    ),
    Knob(
        "deleted",
        "null",
        "what a tag that is not deleted has as `deleted` in listings",
        _fact("4.5"),
        "UNK",
        ("null", "empty", "false", "0", "zero", "words"),
    ),
    Knob("dollar_paths", True, "`$` stands for `/` in a repository's path segment", _fact("4"), "DOC"),
    Knob("listed_tags", 0, "tags shown by the listing of repositories; 0 = all", _fact("4.4"), "UNK"),
    Knob("delete_nonempty_repository", True, "a repository with images can be deleted (off: 406)", _fact("4.4"), "UNK"),
    Knob(
        "gateway_codes",
        "APIGW",
        "what the codes of the gateway before the management API begin with",
        _fact("3.1"),
        "3P",
        ("APIGW", "APIG"),
    ),
    Knob("error_shape", "array", "shape of the management API's errors", _fact("4.12"), "DOC", ("array", "object")),
    Knob("create_status", "201", "status of a created organization", _fact("4"), "CODE", ("201", "200")),
    Knob("extra_fields", True, "organizations carry fields that are not documented", _fact("10"), "HW"),
    # dockyard
    Knob("dockyard", True, "dockyard/v2 exists on the registry host (off: 404)", _fact("5"), "UNK"),
    Knob(
        "dockyard_paging",
        True,
        "dockyard honours offset (off: its lists begin with the first entry)",
        _fact("5"),
        "UNK",
    ),
    Knob(
        "dockyard_missing", "404", "dockyard's answer for a missing organization", _fact("5"), "UNK", ("404", "empty")
    ),
)


def parse_overrides(pairs: list[str] | tuple[str, ...]) -> dict[str, Value]:
    """`name=value` texts → values. Raises ValueError for an unknown name or a value that does not fit."""
    table = {knob.name: knob for knob in KNOBS}
    values: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in table:
            raise ValueError(
                f"no knob of this name: {name!r}" if equals else f"a knob is written name=value, not {pair!r}"
            )
        values[name] = table[name].parse(text)
    return values


class Knobs:
    """The knobs as they are set now; safe to change while requests run."""

    def __init__(self, overrides: Mapping[str, Value] | None = None) -> None:
        self._table = {knob.name: knob for knob in KNOBS}
        self._lock = threading.Lock()
        self._start: dict[str, Value] = {knob.name: knob.default for knob in KNOBS}
        self._start.update(self._checked(overrides or {}))
        self._values = dict(self._start)

    def _checked(self, values: Mapping[str, object]) -> dict[str, Value]:
        unknown = sorted(set(values) - set(self._table))
        if unknown:
            raise ValueError(f"no knob of this name: {', '.join(unknown)}")
        return {name: self._table[name].check(value) for name, value in values.items()}

    def set(self, values: Mapping[str, object]) -> None:
        """Sets some knobs, all or none. Raises ValueError for an unknown name or a value that does not fit."""
        checked = self._checked(values)
        with self._lock:
            self._values = {**self._values, **checked}

    def reset(self) -> None:
        """Back to the values the sandbox was started with."""
        with self._lock:
            self._values = dict(self._start)

    def all(self) -> dict[str, Value]:
        return dict(self._values)

    def on(self, name: str) -> bool:
        value = self._values[name]
        if not isinstance(value, bool):
            raise TypeError(f"knob {name} is no switch")
        return value

    def number(self, name: str) -> int:
        value = self._values[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"knob {name} is no number")
        return value

    def text(self, name: str) -> str:
        value = self._values[name]
        if not isinstance(value, str):
            raise TypeError(f"knob {name} is no text")
        return value
