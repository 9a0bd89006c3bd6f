"""The commands: `python -m adapter <command>`, installed as `harbor-swr-adapter`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from adapter import __version__, settings
from adapter.credentials import login_key
from adapter.settings import Settings, SettingsError


def _load() -> Settings:
    """The settings of the environment. An invalid one ends the command with status 2 and one line."""
    try:
        return settings.load(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harbor-swr-adapter")
def main() -> None:
    """Lets a stock Harbor replicate to and from SWR, the registry of Open Telekom Cloud."""


@main.command()
def serve() -> None:
    """Run the adapter. Settings come from the environment; `settings` lists them."""
    from adapter.server import serve as run

    values = _load()
    try:
        run(values)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


@main.command(name="settings")
def show_settings() -> None:
    """Print every setting with its value, default and meaning. Secrets are hidden."""
    values = _load()
    for row in settings.table():
        later = "(no effect in this version)" if row.later else ""
        print(f"{row.variable} = {row.shown(getattr(values, row.field))}")
        meaning = " ".join(filter(None, (row.help, row.note, later)))
        print(f"    {meaning} [{row.form}; default {row.shown(row.default)}]")


@main.command(name="login-key")
@click.option("--access-key", prompt="AK", help="The access key (AK).")
@click.option(
    "--secret-key",
    prompt="SK",
    hide_input=True,
    help="The secret key (SK). Omit it to be prompted: the process list and the shell history show command lines.",
)
def show_login_key(access_key: str, secret_key: str) -> None:
    """Derive the long-term SWR login key from an AK/SK pair, as documented by OTC."""
    print(login_key(access_key.strip(), secret_key.strip()))


@main.command()
@click.option("--keep", is_flag=True, help="Keep everything running until Ctrl-C, and print how to use it.")
def demo(keep: bool) -> None:
    """Push real images to the SWR simulator by replaying the recorded traffic of a stock Harbor."""
    from adapter.sandbox.demo import DemoFailed, run

    try:
        succeeded = run(dict(os.environ), keep=keep)
    except DemoFailed as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if succeeded else 1)


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory for the data of the simulator.",
)
@click.option(
    "--registry-bind",
    default="127.0.0.1:5100",
    show_default=True,
    help="Listen address of the registry, its token endpoint and the dockyard API.",
)
@click.option(
    "--api-bind",
    default="127.0.0.1:5101",
    show_default=True,
    help="Listen address of the management API and the control API.",
)
@click.option(
    "--objects-bind",
    default="127.0.0.2:5102",
    show_default=True,
    help="Listen address of the object store that serves blobs.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    help="Account as AK:SK[:project,...[:tenant[:manage|write|read]]]; repeatable.",
)
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    help="Behavior to change, as name=value; repeatable. `GET /sandbox/knobs` lists the names.",
)
def sandbox(
    data: Path, registry_bind: str, api_bind: str, objects_bind: str, accounts: tuple[str, ...], knobs: tuple[str, ...]
) -> None:
    """Run only the SWR simulator."""
    from adapter.sandbox.options import SandboxOptions
    from adapter.sandbox.server import serve as run

    try:
        options = SandboxOptions.parse(
            data,
            registry_bind=registry_bind,
            api_bind=api_bind,
            objects_bind=objects_bind,
            accounts=accounts,
            knobs=knobs,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(options.usage(), flush=True)
    run(options)
