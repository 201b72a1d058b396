"""A board that sleeps, and whose connection breaks while it is awake: it tries again, is done soon, and is not deaf afterwards."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable

import pytest
from firmware_bench import Broker, Listener, Server
from free_port import free_port
from test_client import read_packet
from test_sleep import READING, SET, STATE, Wake, wake

__all__ = ["wake"]

Serve = Callable[[Callable[[socket.socket, int], None]], Server]

AWAKE_MS_MAX = 15_000
SOON_MS = 8_000
"""What a wake may take at most in which nothing has to be waited for, on a machine that is busy."""


def cut_once(port: int, asked: int, answered: int) -> Callable[[socket.socket, int], None]:
    """What stands before a broker: of the first connection it lets so many packets pass, each way, and closes it; then it lets all pass."""

    def script(connection: socket.socket, number: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 5) as broker:
            if number > 1:
                _join(connection, broker)
                return
            broker.settimeout(10)
            for _ in range(asked):
                broker.sendall(read_packet(connection))
            for _ in range(answered):
                connection.sendall(read_packet(broker))

    return script


def _join(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(4_096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize(("asked", "answered"), [(0, 0), (1, 0), (1, 1), (2, 1), (5, 0), (5, 2), (5, 5)])
def test_it_breaks_in_the_very_first_greeting(
    broker: Broker, listener: Listener, server: Serve, wake: Wake, asked: int, answered: int
) -> None:
    """CONNECT, SUBSCRIBE, the reading, the birth and the token: any of them may be the last that comes through, and any answer."""
    report = wake(server(cut_once(broker.port, asked, answered)).port, 1, AWAKE_MS_MAX)
    assert report["drained"]
    assert report["ms"] < SOON_MS
    assert listener.wait_for(READING) == b"1"
    listener.publish(SET, "7")
    assert wake(broker.port, 2, AWAKE_MS_MAX)["heard"] == [7]


@pytest.mark.parametrize(("asked", "answered"), [(1, 1), (3, 1), (3, 3)])
def test_it_breaks_when_the_broker_has_forgotten_the_board(broker: Broker, server: Serve, wake: Wake, asked: int, answered: int) -> None:
    """It says that it has no session, and is gone before it is asked for one: a board that took the next one for its own would be deaf."""
    assert wake(broker.port, 1)["drained"]
    broker.kill()
    broker.start()
    listener = Listener(broker.port)
    report = wake(server(cut_once(broker.port, asked, answered)).port, 2, AWAKE_MS_MAX)
    assert report["drained"]
    assert report["ms"] < SOON_MS
    assert json.loads(listener.wait_for(STATE, lambda payload: b'"ready"' in payload))["sleeps_s"] == 600
    listener.publish(SET, "7")
    assert wake(broker.port, 3, AWAKE_MS_MAX)["heard"] == [7]
    listener.close()


def test_a_broker_that_refuses_it_is_not_waited_for(server: Serve, wake: Wake) -> None:
    """Whatever else it tries would come after its time: it sleeps, and keeps the reading."""

    def refuse(connection: socket.socket, number: int) -> None:
        read_packet(connection)
        connection.sendall(b"\x20\x02\x00\x05")
        read_packet(connection)

    report = wake(server(refuse).port, 1, AWAKE_MS_MAX)
    assert (report["drained"], report["waiting"]) == (False, 1)
    assert report["ms"] < SOON_MS


@pytest.mark.parametrize(("count", "qos"), [(8, 1), (16, 1), (30, 1), (30, 0)])
def test_more_readings_than_go_at_once_leave_in_turns(broker: Broker, listener: Listener, wake: Wake, count: int, qos: int) -> None:
    for first in (0, 100):
        report = wake(broker.port, [first, first + count], AWAKE_MS_MAX, 0, qos)
        assert (report["drained"], report["waiting"], report["lost"], report["unsent"]) == (True, 0, 0, 0)
        assert report["ms"] < SOON_MS
        assert [listener.wait_for(READING) for _ in range(count)] == [str(first + number).encode() for number in range(count)]


def test_of_too_many_readings_the_newest_are_kept_and_the_others_counted(broker: Broker, listener: Listener, wake: Wake) -> None:
    report = wake(free_port(), [0, 100], 200)
    assert (report["waiting"], report["lost"]) == (8, 92)
    assert wake(broker.port, 100, AWAKE_MS_MAX)["waiting"] == 0
    assert [listener.wait_for(READING) for _ in range(9)] == [str(number).encode() for number in range(92, 101)]
