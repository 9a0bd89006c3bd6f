"""The documentation, compared with the code: names, commands, messages, numbers, links and citations."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

import adapter
from adapter import errors, settings
from adapter.cli import main
from adapter.contract import concurrency

ROOT = Path(__file__).parent.parent
FACTS = ROOT / "docs" / "facts"
REFERENCE = ROOT / "docs" / "reference.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/developers/*.md")])
SOURCES = sorted([*ROOT.glob("adapter/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("docs/*.py")])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
COMMAND = r"(?:python -m adapter|harbor-swr-adapter)"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The text without its code blocks."""
    return FENCE.sub("", page.read_text())


def code(page: Path) -> str:
    """Code blocks and code spans, a line each."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    return "\n".join([*spans, *(block for _, block in FENCE.findall(page.read_text()))])


def rows(page: Path, head: str) -> Iterator[list[str]]:
    """The rows of all tables whose first column's head matches the pattern `head`."""
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
        if re.fullmatch(head, lines[0][0]):
            yield from lines[2:]


def test_generated_pages_are_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    stale = [page.name for page, text in generated.items() if page.read_text() != text]
    assert len(generated) == 2
    assert stale == [], "run .venv/bin/python docs/generate.py"


@each_page
def test_named_settings_make_targets_commands_and_files_exist(page: Path) -> None:
    variables = {name for row in settings.table() for name in (row.variable, f"{row.variable}_FILE")}
    targets = set(re.findall(r"^([a-z.]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"SWR_ADAPTER_[A-Z_]*[A-Z]", page.read_text())) <= variables
    assert set(re.findall(r"\bmake ([a-z.]+)", code(page))) <= targets
    assert set(re.findall(rf"{COMMAND} ([a-z][a-z-]*)", code(page))) <= set(main.commands)
    named = re.findall(r"`((?:adapter|docker|docs|openapi|tests)/[\w./-]*)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_shell_blocks_parse_and_their_commands_and_settings_are_valid(page: Path) -> None:
    for block in (block for language, block in FENCE.findall(page.read_text()) if language == "sh"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            settings.load(dict(word.split("=", 1) for word in words if word.startswith(settings.PREFIX)))
            if (found := re.search(rf"{COMMAND} (.+)", shlex.join(words))) is not None:
                name, *arguments = shlex.split(found[1])
                command = main.commands[name]
                given, _, _ = command.make_parser(click.Context(command)).parse_args(arguments)
                assert [each.name for each in command.params if each.required and each.name not in given] == []


def test_slots_and_threads_in_the_reference_are_the_constants() -> None:
    numbers = [int(each) for row in rows(REFERENCE, "slots for") for each in re.findall(r"\d+", row[1])]
    names = "CALLS CHECKS UNPROVEN_CALLS UNPROVEN_CREDENTIALS UNPROVEN_CHECKS THREADS SPARE_THREADS"
    limits = {**vars(settings), **vars(concurrency), "THREADS": settings.Settings().threads}
    assert numbers == [limits[name] for name in names.split()]


def test_the_changelog_has_this_version() -> None:
    assert f"## [{adapter.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, errors.AdapterError) and each is not errors.AdapterError
}


def test_every_error_class_has_its_id_status_and_code() -> None:
    documented = {cells[0]: cells[1:4] for cells in rows(ROOT / "docs" / "developers" / "errors.md", "class")}
    ids = {name: re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() for name in CLASSES}
    assert documented == {
        f"`{name}`": [f"[{ids[name]}](../errors.md#{ids[name]})", str(each.status), f"`{each.code}`"]
        for name, each in CLASSES.items()
    }
    assert set(ids.values()) <= anchors(ROOT / "docs" / "errors.md")


@cache
def sentences() -> str:
    """All texts in the code of the adapter but docstrings; a placeholder of an f-string ends a text."""
    texts: list[str] = []
    for file in ROOT.glob("adapter/**/*.py"):
        tree = ast.parse(file.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        ]
    return "\0".join(texts)


def quoted(page: Path) -> list[str]:
    """The parts of messages in tables whose first column is headed `the … says`."""
    return [part for cells in rows(page, r"the .* says") for part in re.findall("`([^`]+)`", cells[0])]


@each_page
def test_quoted_messages_are_those_of_the_code(page: Path) -> None:
    assert [part for part in quoted(page) if part not in sentences()] == []


def test_every_message_on_the_page_of_errors_has_an_address_of_its_own() -> None:
    page = ROOT / "docs" / "errors.md"
    first = [cells[0] for head in ("the .* says", "Harbor shows", "ID") for cells in rows(page, head)]
    names = [name for (name,) in map(ANCHOR.findall, first)]
    assert len(names) > 140
    assert sorted(names) == sorted(set(names))
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def raised(*patterns: str) -> Iterator[str]:
    """The messages of errors that are made in the files; a placeholder is a `\0`."""
    for file in sorted({file for pattern in patterns for file in (ROOT / "adapter").glob(pattern)}):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                text = node.args[0]
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                message = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in parts)
                # Harbor shows nothing if an organization exists. A short text only introduces another message.
                if name in CLASSES.keys() - {"OrganizationExists"} and len(message.replace("\0", "").strip(": ")) > 11:
                    yield message


@pytest.mark.parametrize(
    ("page", "files"),
    [
        ("errors.md", ("*.py", "contract/*.py", "http/*.py", "manifests/*.py", "swr/*.py", "transfer/*.py")),
        ("how-to.md", ("provider/*.py",)),
    ],
)
def test_every_message_is_explained(page: str, files: tuple[str, ...]) -> None:
    found, parts = list(raised(*files)), quoted(ROOT / "docs" / page)
    assert len(found) > 12
    assert [message for message in found if not any(part in message for part in parts)] == []


def test_the_sample_failure_of_the_readme_is_a_message_of_the_code() -> None:
    [sample] = [block for language, block in FENCE.findall((ROOT / "README.md").read_text()) if language == "text"]
    message = json.loads(sample.replace("\n", " ").partition("body: ")[2])["errors"][0]["message"]
    patterns = (re.escape(each).replace("\0", ".+") for each in raised("**/*.py"))
    assert any(re.fullmatch(pattern, message) for pattern in patterns)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings, and those that the page has itself."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(ANCHOR.findall(page.read_text()))


def links(page: Path) -> list[str]:
    """Targets of relative links."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@each_page
def test_links_resolve(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert {*PAGES, *FACTS.glob("*.md")} - linked == {ROOT / "README.md"}


# Sections of the fact sheets that code and documentation cite
SECTION = {"swr": r"§(\d+(?:\.\d+)?)", "harbor": r"([A-J]\.\d+)"}
HEADING = {"swr": r"^#{2,3} (\d+(?:\.\d+)?)[. ]", "harbor": r"^## ([A-J]\.\d+) "}


def cited(text: str, sheet: str) -> Iterator[str]:
    """Sections cited as `docs/facts/<sheet>.md <section>, <section> and <section>`, also across a line's end."""
    flat = re.sub(r"\s+#?\s*", " ", text.replace("`", ""))
    section = SECTION[sheet]
    for found in re.finditer(rf"docs/facts/{sheet}\.md ({section}(?:(?:,| and|, and) {section})*)", flat):
        yield from re.findall(section, found[1])


@pytest.mark.parametrize(("sheet", "least"), [("swr", 40), ("harbor", 12)])
def test_cited_sections_exist(sheet: str, least: int) -> None:
    existing = set(re.findall(HEADING[sheet], (FACTS / f"{sheet}.md").read_text(), re.MULTILINE))
    found = {(file.name, section) for file in (*SOURCES, *PAGES) for section in cited(file.read_text(), sheet)}
    assert len(found) >= least
    assert sorted((name, section) for name, section in found if section not in existing) == []
