"""What somebody sees who asks for help, or types something wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import call, no_traceback
from typer.testing import Result

from edgematrix.cli.main import COMMANDS


def test_the_help_lists_every_command_with_what_it_does():
    done = call("--help", cwd=Path.cwd())

    assert done.returncode == 0
    for name, (_, heading, summary) in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert summary in done.stdout
        assert f"{heading}:" in done.stdout


def test_without_arguments_the_help_is_shown_as_wrong_usage():
    done = call(cwd=Path.cwd())

    assert done.returncode == 2
    assert "Usage: edgematrix" in done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(cli: Callable[..., Result], name: str):
    result = cli(name, "--help")

    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"  edgematrix {name}" in result.stdout


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run"], ["run", "a.yaml", "--nonsense"], ["watch", "--for", "soon"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], tmp_path: Path):
    done = call(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "Error" in done.stderr
    no_traceback(done)


def test_a_mistyped_command_is_told_its_nearest_name(tmp_path: Path):
    assert "Did you mean 'check'?" in call("chek", cwd=tmp_path).stderr


def test_the_version():
    assert call("--version", cwd=Path.cwd()).stdout.startswith("edgematrix ")


def test_asking_for_help_loads_nothing_that_only_a_command_needs():
    code = (
        "import sys; from edgematrix.cli.main import application; application(['--help']);"
        "print([name for name in ('pydantic', 'paho', 'yaml', 'rich', 'asyncio', 'msgspec') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
