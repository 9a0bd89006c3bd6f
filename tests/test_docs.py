"""The documentation, held to the code: generated pages, names, commands, sentences, links and citations."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import adapter
from adapter import errors, settings
from adapter.cli import main
from adapter.sandbox.knobs import KNOBS

ROOT = Path(__file__).parent.parent
FACTS = ROOT / "docs" / "facts"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SOURCES = sorted([*ROOT.glob("adapter/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("docs/*.py")])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = r"(?:python -m adapter|harbor-swr-adapter)"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The text without its code blocks."""
    return FENCE.sub("", page.read_text())


def code(page: Path) -> str:
    """Code blocks and code spans, a line each."""
    text = page.read_text()
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return "\n".join([*spans, *(block for _, block in FENCE.findall(text))])


def shell_blocks(page: Path) -> list[str]:
    return [block for language, block in FENCE.findall(page.read_text()) if language == "sh"]


def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of the shell blocks, as words."""
    for block in shell_blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def rows(page: Path, first: str) -> Iterator[list[str]]:
    """The rows of all tables whose head begins with `first`."""
    wanted = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        wanted = bool(cells) and (wanted or cells[0] == first)
        if wanted and cells[0] != first and set(cells[0]) != {"-"}:
            yield cells


# Generated pages


def test_generated_pages_are_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    assert len(generated) == 2
    stale = [page.name for page, text in generated.items() if page.read_text() != text]
    assert stale == [], "run .venv/bin/python docs/generate.py"


def test_every_setting_and_every_knob_is_in_its_page() -> None:
    listed = [row[0].strip("`") for row in rows(ROOT / "docs" / "settings.md", "variable")]
    assert sorted(listed) == sorted(row.variable for row in settings.table())
    knobs = [row[0].strip("`") for row in rows(ROOT / "docs" / "sandbox.md", "knob")]
    assert knobs == [knob.name for knob in KNOBS]


# Names that the documentation uses


def variables() -> list[str]:
    """Every environment variable of the settings."""
    return [name for row in settings.table() for name in (row.variable, f"{row.variable}_FILE")]


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    assert set(re.findall(r"SWR_ADAPTER_[A-Z_]*[A-Z]", page.read_text())) <= set(variables())


@each_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z.]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z.]+)", code(page))) <= targets


@each_page
def test_commands_that_are_named_exist(page: Path) -> None:
    assert set(re.findall(rf"{COMMAND} ([a-z][a-z-]*)", code(page))) <= set(main.commands)


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:adapter|docker|docs|openapi|tests)/[\w./-]*)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_readme_names_what_a_reader_needs_first() -> None:
    named = code(ROOT / "README.md")
    assert all(each in named for each in ("make demo", "make test", "python -m adapter serve"))


def test_the_threads_of_the_contract_port_are_those_of_the_settings() -> None:
    text = " ".join((ROOT / "docs" / "architecture.md").read_text().split())
    waiting = settings.CALLS + settings.CHECKS + settings.UNPROVEN_CALLS + settings.UNPROVEN_CHECKS
    assert f"{settings.SPARE_THREADS} further threads" in text
    assert f"[{waiting} of them]" in text
    assert f"one of {settings.CALLS} slots meanwhile; a check (`GET /v2/`) one of {settings.CHECKS}" in text
    assert f"share {settings.UNPROVEN_CALLS} slots, and their checks {settings.UNPROVEN_CHECKS}" in text
    assert f"{settings.UNPROVEN_CREDENTIALS} different ones hold slots" in text


# Shell blocks


@each_page
def test_shell_blocks_are_shell(page: Path) -> None:
    for block in shell_blocks(page):
        checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert checked.returncode == 0, f"{checked.stderr}{block}"


@each_page
def test_commands_in_shell_blocks_take_their_options(page: Path) -> None:
    for words in commands(page):
        if (found := re.search(rf"{COMMAND} (.+)", shlex.join(words))) is not None:
            name, *arguments = shlex.split(found[1])
            command = main.commands[name]
            given, _, _ = command.make_parser(click.Context(command)).parse_args(arguments)
            assert [each.name for each in command.params if each.required and each.name not in given] == []


@each_page
def test_settings_in_shell_blocks_are_valid(page: Path) -> None:
    words = [word for line in commands(page) for word in line]
    environ = dict(word.split("=", 1) for word in words if word.startswith(settings.PREFIX))
    settings.load(environ)


def test_the_command_that_the_page_of_settings_names_prints_them_all() -> None:
    printed = CliRunner().invoke(main, ["settings"], env=dict.fromkeys(variables()))
    assert printed.exit_code == 0
    assert all(row.variable in printed.output for row in settings.table())


# Errors


def error_classes() -> dict[str, tuple[str, str]]:
    """Name → status and code; without the base, which is never raised itself."""
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = [each for each in found if issubclass(each, errors.AdapterError) and each is not errors.AdapterError]
    return {each.__name__: (str(each.status), each.code) for each in kinds}


def test_every_error_is_documented_with_its_status_and_code() -> None:
    table = {row[0].strip("`"): (row[1], row[2].strip("`")) for row in rows(ROOT / "docs" / "errors.md", "class")}
    assert table == error_classes()


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


def explained(page: str, *heads: str) -> list[str]:
    """The fragments of sentences in the first columns of a page's tables."""
    cells = [row[0] for head in heads for row in rows(ROOT / "docs" / page, head)]
    quoted = [re.findall("`([^`]+)`", cell) for cell in cells]
    assert all(quoted)
    return [fragment for each in quoted for fragment in each]


ERRORS = ("errors.md", "the log says", "the line says")
HOW_TO = ("how-to.md", "the form says", "the page says", "the answer says")


@pytest.mark.parametrize(("tables", "least"), [(ERRORS, 50), (HOW_TO, 30)], ids=["errors", "how-to"])
def test_sentences_that_are_explained_are_those_of_the_code(tables: tuple[str, ...], least: int) -> None:
    fragments = explained(*tables)
    assert len(fragments) >= least
    assert [fragment for fragment in fragments if fragment not in sentences()] == []


def raised(package: str) -> Iterator[str]:
    """The sentences of errors that a package makes; a placeholder is a `\0`."""
    names = {name for name, _ in vars(errors).items() if name in error_classes()}
    for file in (ROOT / "adapter" / package).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in parts)  # type: ignore[misc]


def test_every_sentence_of_the_provider_door_is_explained() -> None:
    found = [sentence for sentence in raised("provider") if sentence.strip("\0")]
    assert len(found) > 12
    fragments = explained(*HOW_TO)
    assert [sentence for sentence in found if not any(fragment in sentence for fragment in fragments)] == []


def test_the_changelog_has_this_version() -> None:
    assert f"## [{adapter.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


# Links


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Targets of relative links."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@each_page
def test_links_lead_to_files_and_headings_of_this_repository(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert {*PAGES, *FACTS.glob("*.md")} - {ROOT / "README.md"} <= linked


# Citations of the fact sheets

SECTION = {"swr": r"§(\d+(?:\.\d+)?)", "harbor": r"([A-I]\.\d+)"}
HEADING = {"swr": r"^#{2,3} (\d+(?:\.\d+)?)[. ]", "harbor": r"^## ([A-I]\.\d+) "}


def cited(text: str, sheet: str) -> Iterator[str]:
    """Sections cited as `docs/facts/<sheet>.md <section>, <section> and <section>`, also across a line's end."""
    flat = re.sub(r"\s+#?\s*", " ", text.replace("`", ""))
    section = SECTION[sheet]
    for found in re.finditer(rf"docs/facts/{sheet}\.md ({section}(?:(?:,| and|, and) {section})*)", flat):
        yield from re.findall(section, found[1])


def citations(sheet: str) -> set[tuple[str, str]]:
    """(file, section) of the whole repository, the table of knobs included, whose sources are put together."""
    texts = {str(file.relative_to(ROOT)): file.read_text() for file in (*SOURCES, *PAGES, *FACTS.glob("*.md"))}
    texts["the table of knobs"] = "\n".join(knob.source for knob in KNOBS)
    return {(name, section) for name, text in texts.items() for section in cited(text, sheet)}


def sections(sheet: str) -> set[str]:
    return set(re.findall(HEADING[sheet], (FACTS / f"{sheet}.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("text", "sheet", "found"),
    [
        ("(`docs/facts/swr.md §4.13, §5, §6`)", "swr", ["4.13", "5", "6"]),
        ("docs/facts/swr.md\n§3.1, §3.2 and §4 alone.", "swr", ["3.1", "3.2", "4"]),
        ("# docs/facts/swr.md\n    # §9", "swr", ["9"]),
        ("docs/facts/swr.md, top", "swr", []),
        ("`docs/facts/harbor.md D.1`, `D.2`", "harbor", ["D.1", "D.2"]),
        ("Sources: docs/facts/harbor.md D.1, D.2, D.4.", "harbor", ["D.1", "D.2", "D.4"]),
    ],
)
def test_citations_are_found(text: str, sheet: str, found: list[str]) -> None:
    assert list(cited(text, sheet)) == found


@pytest.mark.parametrize(("sheet", "least"), [("swr", 40), ("harbor", 12)])
def test_citations_name_sections_that_exist(sheet: str, least: int) -> None:
    found, existing = citations(sheet), sections(sheet)
    assert len(found) >= least
    assert sorted((name, section) for name, section in found if section not in existing) == []


def test_only_fact_sheets_that_exist_are_cited() -> None:
    texts = [file.read_text() for file in (*SOURCES, *PAGES)]
    names = {name for text in texts for name in re.findall(r"docs/facts/(\w+)\.md", text)}
    assert names == {file.stem for file in FACTS.glob("*.md")}
