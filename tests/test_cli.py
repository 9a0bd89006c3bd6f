from __future__ import annotations

import pytest
from click.testing import CliRunner

from adapter import __version__, settings
from adapter.cli import main


def run(*arguments: str, **env: str | None) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments), env=env)
    return done.exit_code, done.output


def test_help_and_version() -> None:
    code, output = run("--help")
    assert code == 0
    assert all(f"\n  {command} " in output for command in ("serve", "sandbox", "demo", "login-key", "settings"))
    assert run("--version") == (0, f"harbor-swr-adapter, version {__version__}\n")


def test_settings_prints_all_and_hides_secrets() -> None:
    code, output = run("settings", SWR_ADAPTER_THREADS="7", SWR_ADAPTER_PROXY="http://u:hunter2@proxy.example")
    assert code == 0
    for row in settings.table():
        assert f"{row.variable} = " in output
        assert row.help in output
    assert "SWR_ADAPTER_THREADS = 7\n" in output
    assert "SWR_ADAPTER_PROXY = (set, hidden)\n" in output
    assert "hunter2" not in output


@pytest.mark.parametrize("command", ["settings", "serve"])
def test_invalid_setting_ends_the_command_with_one_line(command: str) -> None:
    expected = "invalid SWR_ADAPTER_THREADS 'none': expected an integer, 4 or greater\n"
    assert run(command, SWR_ADAPTER_THREADS="none") == (2, expected)


def test_login_key_is_the_documented_one() -> None:
    """`docs/facts/swr.md §2.1`, computed there with OTC's own pipeline."""
    code, output = run("login-key", "--access-key", "AccessKey", "--secret-key", "SecretKey")
    assert code == 0
    assert output == "f004a0445bcaf37d946c882a22e1e5f9007ea3513c293aa2d3360af05b8875cd\n"


def test_sandbox_reports_invalid_option(tmp_path: object) -> None:
    code, output = run("sandbox", "--data", str(tmp_path), "--knob", "no-such-knob=1")
    assert code == 2
    assert output.count("\n") == 1
    assert "no-such-knob" in output
