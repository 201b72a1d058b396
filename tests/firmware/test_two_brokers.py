"""Boards that know several brokers: one is killed, and they go to the next; real MicroPython, two mosquittos joined by a bridge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from firmware_bench import Board, Broker, Listener
from test_sleep import READING, Wake, wake

from edgematrix.identity.authority import Authority

__all__ = ["wake"]

Start = Callable[..., Board]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
STATE = "em/state/home/board"
ECHO = "em/out/home/board/echo"
SET = "em/in/home/board/set"


def is_ready(payload: bytes) -> bool:
    return b'"ready"' in payload


class Pair:
    """Two brokers; what is published at the one is heard at the other while both are there."""

    def __init__(self, folder: Path) -> None:
        self.brokers: list[Broker] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            self.brokers.append(Broker(folder / name))
        with (folder / "two" / "mosquitto.conf").open("a") as file:
            file.write(f"connection pair\naddress 127.0.0.1:{self.brokers[0].port}\ntopic # both 1\nrestart_timeout 1\n")

    def add_tls(self, folder: Path, names: list[str]) -> None:
        """Listeners with TLS, each of which proves a name of its own."""
        authority = Authority.make("home", NOW - DAY)
        (folder / "ca.pem").write_bytes(authority.pem)
        for broker, name in zip(self.brokers, names, strict=True):
            issued = authority.issue_server([name], NOW - DAY, NOW + DAY)
            cert, key = folder / f"{name}.pem", folder / f"{name}.key"
            cert.write_bytes(issued.certificate)
            key.write_bytes(issued.key)
            broker.add_listener(f"certfile {cert}\nkeyfile {key}\n")

    def start(self) -> None:
        for broker in self.brokers:
            broker.start()

    def kill(self) -> None:
        for broker in self.brokers:
            broker.kill()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    found = Pair(tmp_path)
    yield found
    found.kill()


def write_config(folder: Path, places: list[tuple[str, int]], **more: object) -> Path:
    (host, port), *others = places
    config = {"v": 1, "path": "home/board", "root": "em", "host": host, "port": port, "others": others, "revision": 0, **more}
    (folder / "device.json").write_text(json.dumps(config))
    return folder / "device.json"


def goes_along(pair: Pair, board: Start, config: Path) -> None:
    """Started at the one, which is killed; then at the other, which is killed when the first is there again."""
    process = board("cluster_board.py", config)
    first, second = pair.brokers
    process.wait_for_line("connected as home:board")
    for times, (gone, there) in enumerate([(first, second), (second, first)], 2):
        gone.kill()
        process.wait_for_line("connected as home:board", times)
        listener = Listener(there.port)
        listener.wait_for(STATE, is_ready)
        listener.publish(SET, str(times))
        assert listener.wait_for(ECHO) == str(times).encode()
        listener.close()
        gone.start()
    assert process.interrupt() == 0


def test_a_board_goes_to_the_next_broker_and_back(pair: Pair, board: Start, tmp_path: Path) -> None:
    pair.start()
    goes_along(pair, board, write_config(tmp_path, [("127.0.0.1", broker.port) for broker in pair.brokers]))


def test_each_broker_proves_its_own_name(pair: Pair, board: Start, tmp_path: Path) -> None:
    pair.add_tls(tmp_path, ["localhost", "127.0.0.1"])
    pair.start()
    places = [(name, broker.ports[0]) for name, broker in zip(("localhost", "127.0.0.1"), pair.brokers, strict=True)]
    goes_along(pair, board, write_config(tmp_path, places, tls={"ca": "ca.pem"}))


def test_a_broker_that_proves_the_name_of_another_is_passed_over(pair: Pair, board: Start, tmp_path: Path) -> None:
    pair.add_tls(tmp_path, ["broker.other", "127.0.0.1"])
    pair.start()
    places = [("127.0.0.1", broker.ports[0]) for broker in pair.brokers]
    process = board("cluster_board.py", write_config(tmp_path, places, tls={"ca": "ca.pem"}))
    process.wait_for_line("connected as home:board")
    assert f"not connected: 127.0.0.1:{pair.brokers[0].ports[0]}: no TLS with the server" in process.said()


def test_a_board_that_sleeps_remembers_where_it_was_taken_in(pair: Pair, wake: Wake) -> None:
    pair.start()
    first, second = pair.brokers
    ports = f"{first.port},{second.port}"
    assert wake(ports, 1)["drained"]
    first.kill()
    moved = wake(ports, 2)
    assert moved["drained"]
    listener = Listener(second.port)
    again = wake(ports, 3)
    assert (again["drained"], again["at"]) == (True, 1)
    assert again["sent"] < moved["sent"], "it goes there at once, and says no birth again"
    assert listener.wait_for(READING) == b"3"
    listener.publish("em/in/home/probe/set", "7")
    assert wake(ports, 4)["heard"] == [7]
    listener.close()
