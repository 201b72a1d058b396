"""From provisioned keys to orders on a broker that lets everybody do everything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import CALM, WAIT_S

from edgematrix.config.opening import open_matrix
from edgematrix.config.provisioning import ProvisionWish, provision
from edgematrix.errors import ConfigError, UsageError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.signing_keys import SigningKey, read_key_pair, read_keys

MATRIX = """
matrix: home
sign: true
access:
  hosts: [pi]
  operators: {anna: {deploys: true}, ben: {paths: [home/other]}}
agents:
  lamp: {inputs: {set: any}, triggers: {t: {on: {v: {from: self.set}}, do: [{publish: {topic: t/set, payload: "${v.value}"}}]}}}
  other: {inputs: {set: any}, triggers: {t: {on: {v: {from: self.set}}, do: [{publish: {topic: t/set, payload: "${v.value}"}}]}}}
"""


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    (folder / "home.yaml").write_text(MATRIX)
    provisioned(folder)
    return folder / "access"


def provisioned(folder: Path, *, rotate: str = "", revoke: str = "") -> None:
    """As `edgematrix provision home.yaml --out access`."""
    wish = ProvisionWish(rotate=[rotate] if rotate else [], revoke=[revoke] if revoke else [])
    provision(open_matrix(folder / "home.yaml").spec, AccessFolder(folder / "access"), wish, datetime.now(UTC))


@pytest.fixture(scope="module")
def bus(access: Path, mosquitto: BrokerProcess) -> Iterator[str]:
    """A host with its keys on a broker that knows nobody. tests/docs shows the same with one operator, by default."""
    arguments = ["run", "home.yaml", "--name", "pi", "--broker", mosquitto.url, "--log", "text"]
    environment = {**CALM, "EDGEMATRIX_KEYS": str(access / "hosts" / "pi")}
    with subprocess.Popen(
        [sys.executable, "-m", "edgematrix", *arguments],
        cwd=access.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as host:
        assert host.stdout is not None
        for line in host.stdout:
            if b"connected" in line:
                break
        yield mosquitto.url
        host.terminate()
        host.wait(WAIT_S)


def order(folder: Path, url: str, *words: str, keys: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = CALM if keys is None else {**CALM, "EDGEMATRIX_KEYS": str(keys)}
    command = [sys.executable, "-m", "edgematrix", *words, "--url", url]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.slow
def test_orders_are_carried_out_that_an_operator_has_signed_who_may_give_them(access: Path, bus: str) -> None:
    anna, ben = access / "operators" / "anna", access / "operators" / "ben"
    refused = order(access.parent, bus, "pause", "home/lamp")
    assert refused.returncode != 0
    assert "unsigned: it is not signed" in refused.stderr
    refused = order(access.parent, bus, "pause", "home/lamp", keys=ben)
    assert "foreign: it is signed by ben, who may not publish here" in refused.stderr
    assert order(access.parent, bus, "pause", "home/other", keys=ben).returncode == 0
    done = order(access.parent, bus, "pause", "home/lamp", keys=anna)
    assert done.returncode == 0, done.stderr
    assert order(access.parent, bus, "resume", "home/lamp", keys=anna).returncode == 0
    # What is made while it runs is signed as all else, or not, where its definition says so.
    (access.parent / "new.yaml").write_text(
        "{inputs: {set: any}, triggers: {t: {on: {v: {from: self.set}}, do: [{publish: {topic: t/new}}]}}}"
    )
    assert order(access.parent, bus, "create", "home/new", "new.yaml").returncode != 0
    done = order(access.parent, bus, "create", "home/new", "new.yaml", keys=anna)
    assert done.returncode == 0, done.stderr
    assert "unsigned" in order(access.parent, bus, "pause", "home/new").stderr
    (access.parent / "new.yaml").write_text(
        "{sign: false, inputs: {set: any}, triggers: {t: {on: {v: {from: self.set}}, do: [{publish: {topic: t/new}}]}}}"
    )
    assert order(access.parent, bus, "create", "home/open", "new.yaml", keys=anna).returncode == 0
    assert order(access.parent, bus, "pause", "home/open").returncode == 0


def test_a_rotated_key_has_an_overlap_and_a_revoked_one_none(access: Path) -> None:
    folder = access.parent
    first = SigningKey.read(access / "operators" / "anna").key_id
    provisioned(folder)
    assert SigningKey.read(access / "operators" / "anna").key_id == first
    provisioned(folder, rotate="anna")
    second = SigningKey.read(access / "operators" / "anna").key_id
    ring = read_keys(access / "hosts" / "pi")
    assert [ring.principal(key) for key in (first, second)] == ["anna", "anna"]
    assert ring.deployers == {"anna"}
    provisioned(folder, revoke="anna")
    ring = read_keys(access / "hosts" / "pi")
    assert [ring.principal(key) for key in (first, second)] == [None, None]
    assert not (access / "operators" / "anna" / "signing.key").exists()
    assert ring.deployers == set()


Spoil = Callable[[Path], None]


def readable(folder: Path) -> None:
    (folder / "signing.key").chmod(0o644)


def keys_readable(folder: Path) -> None:
    (folder / "keys.json").chmod(0o640)


def no_key(folder: Path) -> None:
    (folder / "signing.key").write_text("hello\n")


def no_keys(folder: Path) -> None:
    (folder / "keys.json").write_text("{}")


def gone(folder: Path) -> None:
    (folder / "signing.key").unlink()


def a_strangers(folder: Path) -> None:
    SigningKey.make().write(folder)


TROUBLE = [
    (readable, "signing.key", "chmod 600"),
    (keys_readable, "keys.json", "chmod 600"),
    (no_key, "is no key that messages are signed with", "edgematrix provision"),
    (no_keys, "keys.json", "edgematrix provision writes it"),
    (gone, "signing.key", ""),
    (a_strangers, "nobody's that is known", ""),
]


@pytest.mark.parametrize(("spoil", "what", "remedy"), TROUBLE, ids=[spoil.__name__ for spoil, _, _ in TROUBLE])
def test_keys_that_are_not_as_they_have_to_be_are_refused(access: Path, tmp_path: Path, spoil: Spoil, what: str, remedy: str) -> None:
    keys = tmp_path / "pi"
    keys.mkdir()
    for name in ("signing.key", "keys.json"):
        (keys / name).write_bytes((access / "hosts" / "pi" / name).read_bytes())
        (keys / name).chmod(0o600)
    spoil(keys)
    with pytest.raises(UsageError) as caught:
        read_key_pair(keys, "pi")
    assert what in str(caught.value)
    assert remedy in str(caught.value)


def test_a_host_without_keys_is_told(access: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EDGEMATRIX_KEYS"}
    command = [sys.executable, "-m", "edgematrix", "run", "home.yaml", "--state", str(tmp_path)]
    done = subprocess.run(command, cwd=access.parent, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert "the matrix wants signed messages, and this host has no keys" in done.stderr
    assert "EDGEMATRIX_KEYS=DIR" in done.stderr


def test_a_board_that_cannot_sign_is_told(tmp_path: Path) -> None:
    board = MATRIX + "  stove: {host: stove, outputs: {heat: number}}\n"
    (tmp_path / "home.yaml").write_text(board)
    with pytest.raises(ConfigError, match="home/stove speaks for itself, as a board does, and cannot sign.*say `sign: false` there"):
        open_matrix(tmp_path / "home.yaml")
    (tmp_path / "home.yaml").write_text(board.replace("{host", "{sign: false, host"))
    open_matrix(tmp_path / "home.yaml")
