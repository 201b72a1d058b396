"""The load: a client on a blocking socket that plays sensors and listens to actuators, and a look at a process from outside."""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "Paced", "Usage", "usage_of"]

_CONNECT = bytes.fromhex("1010 0004 4d515454 04 02 0e10 0004") + b"load"
_SUBSCRIBE = b"\x82\x15\x00\x01\x00\x10bench/actuator/+\x00"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Paced:
    """How a run at one rate went."""

    sent: int
    answered: int
    p50_ms: float
    p99_ms: float


def usage_of(pid: int) -> Usage:
    """Read from /proc: the time on a CPU of all threads (`schedstat`, field 1, nanoseconds), resident pages (`statm`, field 2)."""
    on_cpu_ns = sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return Usage(on_cpu_ns / 1e9, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES)


class Load:
    """Publishes numbers on `bench/sensor/N`, and takes them from `bench/actuator/N`.

    Args:
        port: of the broker.
        sensors: how many there are; they take turns.
        qos: with which they publish. With 1 the broker's confirmations are read, and nothing is sent twice.
    """

    def __init__(self, port: int, sensors: int = 1, qos: int = 0) -> None:
        self._port = port
        self._topics = [b"bench/sensor/%d" % number for number in range(sensors)]
        self._qos = qos
        self._next = 0
        self._rest = b""
        self._sent_at: dict[int, float] = {}
        self._latencies: list[float] = []
        self._connect()

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def wait_for_answer(self, patience_s: float, sensor: int = 0) -> float:
        """Ask until somebody answers; the seconds that it took.

        Raises:
            TimeoutError: nobody answered.
        """
        began_s = asked_s = time.perf_counter()
        while asked_s - began_s < patience_s:
            self._socket.sendall(self._frame(self._topics[sensor]))
            asked_s = time.perf_counter()
            while (left_s := asked_s + 0.02 - time.perf_counter()) > 0:
                if self._receive(left_s):
                    took_s = time.perf_counter() - began_s
                    self._await_silence(0.2)
                    return took_s
        raise TimeoutError(f"no answer on bench/actuator/{sensor} within {patience_s} s")

    def paced(self, rate: int, seconds: float) -> Paced:
        """Send at a rate, and see how long answers take."""
        self._latencies.clear()
        count = int(rate * seconds)
        began_s = time.perf_counter()
        for number in range(count):
            due_s = began_s + number / rate
            while (left_s := due_s - time.perf_counter()) > 0:
                self._receive(left_s)
            self._send()
        patience_until_s = time.perf_counter() + 2
        while len(self._latencies) < count and time.perf_counter() < patience_until_s:
            self._receive(0.1)
        self._sent_at.clear()
        found = sorted(self._latencies) or [float("nan")]
        return Paced(count, len(self._latencies), found[len(found) // 2] * 1e3, found[int(len(found) * 0.99)] * 1e3)

    def full(self, window: int, seconds: float) -> float:
        """Keep `window` messages under way, for the highest rate without a growing backlog; messages a second."""
        self._latencies.clear()
        for _ in range(window):
            self._send()
        began_s = time.perf_counter()
        answered = 0
        while time.perf_counter() - began_s < seconds:
            came = self._receive(1.0)
            if came is None:
                break
            answered += came
            if came:
                self._socket.sendall(b"".join(self._one() for _ in range(came)))
        took_s = time.perf_counter() - began_s
        self._await_silence(0.3)
        return answered / took_s

    def _await_silence(self, silent_s: float) -> None:
        """What is still under way comes, and is not counted."""
        while self._receive(silent_s) is not None:
            pass
        self._sent_at.clear()

    def _connect(self) -> None:
        self._rest = b""
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_CONNECT + _SUBSCRIBE)
        self._receive(1.0)

    def _send(self) -> None:
        self._socket.sendall(self._one())

    def _one(self) -> bytes:
        return self._frame(self._topics[self._next % len(self._topics)])

    def _frame(self, topic: bytes) -> bytes:
        self._next += 1
        payload = b"%d" % self._next
        self._sent_at[self._next] = time.perf_counter()
        packet_id = (self._next % 0xFFFF + 1).to_bytes(2) if self._qos else b""
        return bytes((0x30 | self._qos << 1, 2 + len(topic) + len(packet_id) + len(payload), 0, len(topic))) + topic + packet_id + payload

    def _receive(self, patience_s: float) -> int | None:
        """Take what comes within the time; how many answers there were among it. None: nothing came."""
        if not select.select([self._socket], [], [], max(0.0, patience_s))[0]:
            return None
        received = self._socket.recv(65_536)
        if not received:
            raise ConnectionResetError("the broker is gone")
        data = self._rest + received
        now_s = time.perf_counter()
        position, end, answers = 0, len(data), 0
        while end - position >= 2 and position + 2 + data[position + 1] <= end:  # noqa: PLR2004 - a first byte and a length
            stop = position + 2 + data[position + 1]
            if data[position] == 0x30:  # noqa: PLR2004 - PUBLISH, QoS 0
                self._answered(int(data[position + 4 + data[position + 3] : stop]), now_s)
                answers += 1
            elif data[position] == 0x40:  # noqa: PLR2004 - PUBACK
                self._confirmed(int.from_bytes(data[position + 2 : stop]))
            position = stop
        self._rest = data[position:]
        return answers

    def _answered(self, number: int, now_s: float) -> None:
        """An answer came."""
        sent_s = self._sent_at.pop(number, None)
        if sent_s is not None:
            self._latencies.append(now_s - sent_s)

    def _confirmed(self, packet_id: int) -> None:
        """The broker has a message of QoS 1."""
