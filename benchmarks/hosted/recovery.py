"""How long nothing comes through after a kill -9, with what was killed started again at once."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.hosted.pair import Pair
from benchmarks.hosted.program import Program
from benchmarks.load import Load

__all__ = ["Recovery", "Steady", "measure_recovery"]

_RATE = 200
_PATIENCE_S = 30.0
_CALM_S = 1.0
"""Between two kills, and after the last one: what is late may still come."""
_AGAIN_S = 0.01
_BEHIND_S = 0.02
"""Readings that are later than this are not made up for."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """From each kill to the first answer to a reading that was sent after it; and how many readings never came, or came twice."""

    seconds: list[float]
    sent: int
    lost: int
    twice: int


def measure_recovery(pair: Pair, victim: Program, *, qos: int, kills: int) -> Recovery:
    """Kill it again and again, under a steady load.

    Raises:
        TimeoutError: nothing came through any more.
    """
    load = Steady(pair.broker.port, qos=qos)
    try:
        load.wait_for_answer(_PATIENCE_S)
        seconds = []
        for _ in range(kills):
            load.flow(_CALM_S)
            victim.kill()
            killed_s = time.perf_counter()
            victim.start()
            seconds.append(load.flow_until_answer(killed_s))
        load.flow(_CALM_S)
        return load.end(seconds)
    finally:
        load.close()


class Steady(Load):
    """A load that finds its broker again. With QoS 1 it sends again what the broker has not confirmed."""

    def __init__(self, port: int, *, qos: int) -> None:
        self._times: dict[int, float] = {}
        """When each reading was sent."""
        self._unconfirmed: dict[int, bytes] = {}
        self._seen: set[int] = set()
        self.twice = 0
        self._killed_s = float("inf")
        self._back_s: float | None = None
        self._due_s = 0.0
        super().__init__(port, qos=qos)

    def flow(self, seconds: float) -> None:
        """Send at the rate."""
        until_s = time.perf_counter() + seconds
        while time.perf_counter() < until_s:
            self._step()

    def flow_until_answer(self, killed_s: float) -> float:
        """The seconds from the kill until a reading that was sent after it came through."""
        self._killed_s, self._back_s = killed_s, None
        while self._back_s is None:
            self._step()
            if time.perf_counter() > killed_s + _PATIENCE_S:
                raise TimeoutError(f"nothing came through within {_PATIENCE_S} s after a kill")
        return self._back_s - killed_s

    def end(self, seconds: list[float]) -> Recovery:
        """Wait for what is still under way."""
        with suppress(ConnectionError):
            self._await_silence(_CALM_S)
        lost = sum(number not in self._seen for number in self._times)
        return Recovery(seconds, len(self._times), lost, self.twice)

    def _step(self) -> None:
        """Wait for the moment of the next reading, and send it."""
        self._due_s = max(self._due_s + 1 / _RATE, time.perf_counter() - _BEHIND_S)
        try:
            while (left_s := self._due_s - time.perf_counter()) > 0:
                self._receive(left_s)
            frame = self._one()
            self._times[self._next] = time.perf_counter()
            if self._qos:
                self._unconfirmed[self._next % 0xFFFF + 1] = frame
            self._socket.sendall(frame)
        except OSError:
            self._find()

    def _find(self) -> None:
        self._socket.close()
        give_up_at_s = time.perf_counter() + _PATIENCE_S
        while True:
            try:
                self._connect()
                self._socket.sendall(b"".join(self._unconfirmed.values()))
                return  # noqa: TRY300 - the loop's only good end
            except OSError:
                if time.perf_counter() > give_up_at_s:
                    raise
                time.sleep(_AGAIN_S)

    def _answered(self, number: int, now_s: float) -> None:
        super()._answered(number, now_s)
        if number not in self._times:
            return  # it was asked before the load was steady
        self.twice += number in self._seen
        self._seen.add(number)
        if self._back_s is None and self._times[number] > self._killed_s:
            self._back_s = now_s

    def _confirmed(self, packet_id: int) -> None:
        self._unconfirmed.pop(packet_id, None)
