"""What a broker takes for what it holds: retained definitions, and clients that say nothing."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hosted.broker import Broker
from benchmarks.load import usage_of

__all__ = ["Capacity", "measure_capacity"]

_RETAINED = 100_000
_BYTES = 300
"""About what the definition of a rule takes."""
_CLIENTS = 500
_CONNECT = bytes.fromhex("10 12 0004 4d515454 04 02 0e10 0006")
_SUBSCRIBE = b"\x82\x0e\x00\x01\x00\x09em/spec/#\x00"
_PATIENCE_S = 60.0
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of a retained message of 300 bytes, and of a client that is connected."""

    retained: int
    retained_bytes: float
    taken_a_second: float
    """How fast the broker takes retained messages from one client."""
    handed_a_second: float
    """How fast it hands them to a client that comes."""
    client_bytes: float


def measure_capacity(place: Path) -> Capacity:
    """Let a broker hold them."""
    place.mkdir()
    with Broker(place) as broker, ExitStack() as stack:
        empty_bytes = usage_of(broker.pid).rss_bytes
        publisher = stack.enter_context(_client(broker.port, 0))
        began_s = time.perf_counter()
        publisher.sendall(b"".join(_retained(number) for number in range(_RETAINED)))
        publisher.sendall(b"\xc0\x00")
        publisher.settimeout(_PATIENCE_S)
        publisher.recv(2)  # the answer to the ping stands behind all of them
        taken_s = time.perf_counter() - began_s
        full_bytes = usage_of(broker.pid).rss_bytes
        for number in range(_CLIENTS):
            stack.enter_context(_client(broker.port, 1 + number))
        clients_bytes = usage_of(broker.pid).rss_bytes - full_bytes
        handed_s = _read_all(stack.enter_context(_client(broker.port, 1 + _CLIENTS)))
    return Capacity(_RETAINED, (full_bytes - empty_bytes) / _RETAINED, _RETAINED / taken_s, _RETAINED / handed_s, clients_bytes / _CLIENTS)


def _client(port: int, number: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(_CONNECT + b"c%05d" % number)
    client.recv(4)
    return client


def _retained(number: int) -> bytes:
    topic = b"em/spec/bench/floor-%d/room-%d/a%d" % (number // 1_000, number // 10, number)
    payload = b"x" * _BYTES
    length = 2 + len(topic) + len(payload)
    return bytes((0x31, length & 0x7F | 0x80, length >> 7)) + len(topic).to_bytes(2) + topic + payload


def _read_all(client: socket.socket) -> float:
    """The seconds from the subscription until all have come."""
    wanted = sum(len(_retained(number)) for number in range(_RETAINED))
    began_s = time.perf_counter()
    client.sendall(_SUBSCRIBE)
    client.settimeout(_PATIENCE_S)
    while wanted > 0:
        data = client.recv(_READ_BYTES)
        if not data:
            raise ConnectionResetError("the broker is gone")
        wanted -= len(data)
    return time.perf_counter() - began_s
