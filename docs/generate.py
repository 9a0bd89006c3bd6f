"""Writes those parts of the documentation that are taken from the code.

`.venv/bin/python docs/generate.py` writes docs/settings.md and the table of knobs in docs/sandbox.md;
`tests/test_docs.py` compares what is there with what would be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from adapter import settings
from adapter.sandbox.knob import Knob
from adapter.sandbox.knob_table import KNOBS
from adapter.settings import Group, Row

DOCS: Final = Path(__file__).parent
BEGIN: Final = "<!-- knobs: written by docs/generate.py -->"
END: Final = "<!-- end of knobs -->"

SETTINGS: Final = """\
# Settings

<!-- Written by docs/generate.py from the table in adapter/settings/table.py: do not edit. -->

Look up what you can set. Every setting is an environment variable. Most people need only the three in **bold**.
`python -m adapter settings` prints all settings with the values in force, and hides secrets.

* To read a value from a file, as Docker and Kubernetes provide secrets, add `_FILE` to the name of the variable and
  set it to the path. Do not set both.
* An empty variable counts as not set.
* If a variable with the prefix `SWR_ADAPTER_` is unknown or a value is invalid, `serve` exits with status 2 and one
  line that names the variable.
* SWR credentials are not settings: Access ID and Access Secret arrive with each request.

{now}## Without effect in this version

Reserved for a later version: validated, but without effect. `serve` logs a warning if one is set.

{later}"""


def cell(text: str) -> str:
    """The text as it may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def rendered(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table, with a newline at its end."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def settings_page() -> str:
    """docs/settings.md."""
    rows = list(settings.table())
    return SETTINGS.format(
        now="".join(settings_group(group, rows) for group in Group),
        later=settings_table(row for row in rows if row.later),
    )


def settings_group(group: Group, rows: Iterable[Row]) -> str:
    """The heading and the table of one group."""
    return f"## {group}\n\n{settings_table(row for row in rows if row.group is group and not row.later)}\n"


def settings_table(rows: Iterable[Row]) -> str:
    head = ("variable", "default", "form", "meaning")
    return rendered(head, ((name_of(row), default_of(row), row.form, meaning_of(row)) for row in rows))


def name_of(row: Row) -> str:
    return f"**`{row.variable}`**" if row.common else f"`{row.variable}`"


def default_of(row: Row) -> str:
    shown = row.shown(row.default)
    return "not set" if shown == "(not set)" else f"`{shown}`"


def meaning_of(row: Row) -> str:
    return " ".join(filter(None, (row.help, row.note, "Never shown or logged." if row.secret else "")))


def knob_value(knob: Knob) -> str:
    """`on` and `off` as a person writes them."""
    if isinstance(knob.default, bool):
        return "`on`" if knob.default else "`off`"
    return f"`{knob.default}`"


def knobs_table() -> str:
    head = ("knob", "default", "other values", "meaning", "source", "evidence")
    return rendered(
        head,
        (
            (f"`{knob.name}`", knob_value(knob), others_of(knob), knob.help, f"`{knob.source}`", knob.tag)
            for knob in KNOBS
        ),
    )


def others_of(knob: Knob) -> str:
    if isinstance(knob.default, bool):
        return "`off`" if knob.default else "`on`"
    if knob.choices:
        return ", ".join(f"`{each}`" for each in knob.choices if each != knob.default)
    return "a number" if isinstance(knob.default, int) else "a text"


def sandbox_page() -> str:
    """docs/sandbox.md as it is, with a new table between the two marks."""
    text = (DOCS / "sandbox.md").read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{knobs_table()}{END}{after}"


def pages() -> Mapping[Path, str]:
    """The generated pages and what each should say."""
    return {DOCS / "settings.md": settings_page(), DOCS / "sandbox.md": sandbox_page()}


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text)
