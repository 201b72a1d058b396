"""`edgematrix acl --apply` before a real plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarded_broker import ADMIN, GuardedBroker, password_of

from edgematrix.access.dynamic_security import BrokerAccess, Client
from edgematrix.access.grant import Grants
from edgematrix.access.principal import Principal, Role
from edgematrix.cli.broker_access import apply_access
from edgematrix.cli.main import main
from edgematrix.errors import BusError

HOME = """
matrix: home
access: {hosts: [pi], operators: [anna]}
agents:
  tank: {host: board, inputs: {pump: boolean}, outputs: {level: number}}
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    broker = GuardedBroker("dynamic_security", tmp_path / "plugin", "other", [])
    yield f"mqtt://{ADMIN}:{password_of(ADMIN)}@127.0.0.1:{broker.process.port}"
    broker.stop()


def test_a_running_broker_is_brought_to_it_once(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "home.yaml").write_text(HOME)

    assert main(["acl", str(tmp_path / "home.yaml"), "--apply", url]) == 0
    told = capsys.readouterr().out
    assert main(["acl", str(tmp_path / "home.yaml"), "--apply", url]) == 0

    assert "createRole em:home:home.tank\n" in told
    assert "createClient anna\n" in told
    assert "✓ applied\n  3 of the users are new to the plugin" in told
    assert capsys.readouterr().out == "✓ the broker has it already\n"


def test_a_plugin_that_refuses_a_command_is_told(url: str):
    wish = BrokerAccess(clients={"pi": Client("nobody", frozenset({"nobody"}))})
    with pytest.raises(BusError, match="the plugin refuses createClient: Role not found"):
        asyncio.run(apply_access(url, "home", wish))


def test_who_is_no_administrator_is_told(tmp_path: Path):
    broker = GuardedBroker("dynamic_security", tmp_path / "plugin", "home", [Principal("anna", Role.OPERATOR, "anna", Grants())])
    with pytest.raises(BusError, match="an administrator of it"):
        asyncio.run(apply_access(f"mqtt://anna:{password_of('anna')}@127.0.0.1:{broker.process.port}", "home", BrokerAccess()))
    broker.stop()
