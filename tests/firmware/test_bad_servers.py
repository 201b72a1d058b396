"""Servers that are silent, talk garbage, or refuse: no wait is for ever, and every fault ends in another try."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest
from firmware_bench import Board, Server

Start = Callable[..., Board]
Serve = Callable[[Callable[[socket.socket, int], None]], Server]

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"


def until_closed(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def silent(connection: socket.socket) -> None:
    until_closed(connection)


def silent_after_connack(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(CONNACK)
    until_closed(connection)


def silent_after_suback(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(CONNACK)
    connection.recv(4096)
    connection.sendall(SUBACK)
    until_closed(connection)


def refuses(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"\x20\x02\x00\x05")


def refuses_the_subscription(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(CONNACK)
    connection.recv(4096)
    connection.sendall(b"\x90\x03\x00\x01\x80")
    until_closed(connection)


def speaks_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    until_closed(connection)


def publishes_too_early(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"\x30\x03\x00\x01a")
    until_closed(connection)


def has_an_endless_length(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(CONNACK + b"\x30\xff\xff\xff\xff\x01")
    until_closed(connection)


def trickles_a_huge_packet(connection: socket.socket) -> None:
    """268 MB announced; the board keeps none of it, and misses the answer to its ping."""
    silent_start = CONNACK + SUBACK + b"\x30\xff\xff\xff\x7f\x00\x01a"
    connection.recv(4096)
    connection.sendall(silent_start)
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"x")
        try:
            if not connection.recv(4096):
                return
        except TimeoutError:
            continue


def closes_at_once(connection: socket.socket) -> None:
    connection.recv(1)


FAULTS = {
    silent: "no CONNACK in time",
    silent_after_connack: "no SUBACK in time",
    silent_after_suback: "no PUBACK in time",
    refuses: "the broker refuses us: not authorised (5)",
    refuses_the_subscription: "the broker refuses the subscription em/in/home/board/+",
    speaks_http: "a packet starts with 0x48",
    publishes_too_early: "packet kind 3 at the wrong time",
    has_an_endless_length: "a remaining length of over four bytes",
    trickles_a_huge_packet: "in time",
    closes_at_once: "not connected",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_ends_in_another_try(fault: Callable[[socket.socket], None], server: Serve, board: Start) -> None:
    served = server(lambda connection, _: fault(connection))
    process = board("board.py", served.port, 400)
    process.wait_for_line(FAULTS[fault])
    process.wait_for_line("not connected", 2)
    assert served.accepted >= 2
    assert process.interrupt() == 0
    assert json.loads(process.said().strip().splitlines()[-1])["received"] == 0


def test_garbage_of_every_first_byte(server: Serve, board: Start) -> None:
    """Whatever a server says first, the board lives, and connects to a good one in the end."""
    done: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(4096)
        if number <= 40:
            first = (number * 37) % 256
            connection.sendall(bytes([first, (number * 91) % 256, 0, 0, 1, 255, 254, 253]) * 9)
            return
        connection.sendall(CONNACK)
        done.append(number)
        until_closed(connection)

    served = server(serve)
    process = board("board.py", served.port, 400, 5)
    process.wait_for_line("no SUBACK in time")
    assert done
    assert process.interrupt() == 0


def test_a_board_is_stopped_while_the_server_is_silent(server: Serve, board: Start) -> None:
    served = server(lambda connection, _: silent(connection))
    process = board("board.py", served.port, 400)
    process.wait_for_line("no CONNACK in time")
    assert process.interrupt() == 0


def test_a_wrong_name_is_said_and_tried_again(board: Start) -> None:
    process = board("lost_board.py")
    process.wait_for_line("the name nowhere.invalid is not known", 2)
    assert process.interrupt() == 0
