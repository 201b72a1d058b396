"""Boards that come in by TLS: the broker proves its name to them, and they prove theirs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Board, Broker, Listener

from edgematrix.identity.authority import Authority, Issued

Start = Callable[..., Board]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
STATE = "em/state/home/board"
ECHO = "em/out/home/board/echo"


class Site:
    """An authority, and a broker with a second listener, for those with certificates."""

    def __init__(self, folder: Path, ends: datetime = NOW + DAY) -> None:
        self.folder = folder
        self.authority = Authority.make("home", NOW - 2 * DAY)
        self.ca = self.write("ca.pem", self.authority.pem)
        self.put("broker", self.authority.issue_server(["broker.home", "127.0.0.1"], NOW - 2 * DAY, ends))
        self.broker = Broker(folder)
        self.broker.add_listener(
            "require_certificate true\nuse_identity_as_username true\n"
            f"cafile {self.ca}\ncertfile {folder / 'broker.pem'}\nkeyfile {folder / 'broker.key'}\n"
        )
        self.put("board", self.authority.issue_client("home.board", NOW - DAY, NOW + DAY))

    def write(self, name: str, data: bytes) -> Path:
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def put(self, name: str, issued: Issued) -> tuple[Path, Path]:
        return self.write(f"{name}.pem", issued.certificate), self.write(f"{name}.key", issued.key)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    found.broker.start()
    yield found
    found.broker.kill()


def is_ready(payload: bytes) -> bool:
    return bool(json.loads(payload)["status"] == "ready")


@pytest.mark.parametrize("name", ["broker.home", "127.0.0.1"])
def test_both_prove_who_they_are_and_messages_of_any_size_pass(site: Site, board: Start, name: str) -> None:
    listener = Listener(site.broker.port)
    process = board("tls_board.py", site.broker.ports[0], name, site.ca, site.folder / "board.pem", site.folder / "board.key")
    listener.wait_for(STATE, is_ready)
    for size in (1, 255, 256, 900):
        listener.publish("em/in/home/board/set", "x" * size)
        assert listener.wait_for(ECHO) == b"x" * size
    for number in range(100):  # many in one record, of which no poll of the socket tells
        listener.send("em/in/home/board/set", str(number))
    for number in range(100):
        assert listener.wait_for(ECHO) == str(number).encode()
    assert process.interrupt() == 0
    listener.close()


def test_a_broker_of_another_name_is_not_believed(site: Site, board: Start) -> None:
    process = board("tls_board.py", site.broker.ports[0], "other.home", site.ca, site.folder / "board.pem", site.folder / "board.key")
    process.wait_for_line("not connected: no TLS with the server", 2)
    assert "connected as" not in process.said()


def test_a_broker_of_another_authority_is_not_believed(site: Site, board: Start) -> None:
    other = site.write("other.pem", Authority.make("other", NOW - DAY).pem)
    process = board("tls_board.py", site.broker.ports[0], "broker.home", other, site.folder / "board.pem", site.folder / "board.key")
    process.wait_for_line("not connected: no TLS with the server", 2)
    assert "connected as" not in process.said()


def test_a_broker_whose_certificate_has_ended_is_not_believed(tmp_path: Path, board: Start) -> None:
    site = Site(tmp_path, NOW - timedelta(hours=1))
    site.broker.start()
    try:
        process = board("tls_board.py", site.broker.ports[0], "broker.home", site.ca, tmp_path / "board.pem", tmp_path / "board.key")
        process.wait_for_line("not connected: no TLS with the server", 2)
        assert "connected as" not in process.said()
    finally:
        site.broker.kill()


def test_a_board_without_a_certificate_is_not_let_in(site: Site, board: Start) -> None:
    process = board("tls_board.py", site.broker.ports[0], "broker.home", site.ca)
    process.wait_for_line("not connected:", 2)
    assert "connected as" not in process.said()


def test_a_file_that_is_no_certificate_is_said(site: Site, board: Start) -> None:
    wrong = site.write("wrong.pem", b"no certificate")
    process = board("tls_board.py", site.broker.ports[0], "broker.home", wrong)
    assert process.process.wait(WAIT_S) != 0
    assert "wrong.pem is no PEM" in process.said()
