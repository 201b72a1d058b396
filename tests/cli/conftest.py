"""A project as `init` makes it, and commands that are ended with the test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from broker_process import BrokerProcess
from cli_process import Running
from fake_host import AGENTS, FakeHost, HostOf, Steer
from typer.testing import CliRunner, Result

from edgematrix.cli import main


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Runs a command in this process. What `main` adds around it (errors as exit codes) is part of it."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main.application([str(argument) for argument in arguments]), [str(argument) for argument in arguments])

    return run


@pytest.fixture
def drawn(tmp_path: Path, cli: Callable[..., Result]) -> Callable[[str], str]:
    """What `graph` prints of a matrix."""

    def draw(matrix: str) -> str:
        (tmp_path / "home.yaml").write_text(matrix)
        result = cli("graph", tmp_path / "home.yaml")
        assert result.exit_code == 0, result.output
        return result.stdout

    return draw


@pytest.fixture
def project(tmp_path: Path, cli: Callable[..., Result]) -> Path:
    """A new project."""
    folder = tmp_path / "my home"
    assert cli("init", folder).exit_code == 0
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts commands that go on; they are killed with the test."""
    started: list[Running] = []

    def run(*arguments: object, cwd: Path) -> Running:
        started.append(Running(*arguments, cwd=cwd, name=f"running{len(started)}"))
        return started[-1]

    yield run
    for running in started:
        running.kill()


@pytest.fixture
def root() -> str:
    """A bus of its own, on the one broker."""
    return f"em-{secrets.token_hex(4)}"


@pytest.fixture
def host_of(mosquitto: BrokerProcess, root: str) -> Iterator[HostOf]:
    """Makes hosts: `host_of(agents, name=…)`."""
    made: list[FakeHost] = []

    def make(agents: tuple[str, ...] = AGENTS, **more: str) -> FakeHost:
        made.append(FakeHost(mosquitto.port, root, agents, **more))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def host(host_of: HostOf) -> FakeHost:
    """The one host of a bus."""
    return host_of()


@pytest.fixture
def steer(mosquitto: BrokerProcess, root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Steer:
    """Runs a command in this process on that bus, to its end."""
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words: str, url: str = mosquitto.url) -> SimpleNamespace:
        code = main.main([*words, *(["--url", url] if url else []), "--root", root])
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run
