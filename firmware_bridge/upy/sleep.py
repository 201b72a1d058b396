"""An agent that sleeps most of the time, and is awake for as short as it can be.

    probe = Sleeper("home/shed/probe", "192.168.1.10", every_s=600, keep=RtcKeep())
    probe.on("set", take_setting)                # commands that waited while it slept
    probe.emit("temperature", read_sensor(), qos=1)
    probe.wake()                                 # talks to the broker: two round trips
    probe.sleep()                                # a reset ends it: the program begins anew

The broker keeps its session. All that there is to say leaves in one write with the greeting, the last of it a token to itself
(`em/in/{path}/_awake`, QoS 1): the broker sends what waited before it, so when it is back nothing more waits.
"""

import binascii

from .agent import Agent
from .ticks import sleep_ms, ticks_add, ticks_diff, ticks_ms

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .agent import Keep

__all__ = ["Sleeper"]

_AWAKE = "_awake"
_ASLEEP = "_asleep"
_UNSENT_MAX = 8


class Sleeper(Agent):
    """An agent that is awake now and then.

    `every_s` is how long it sleeps, told to everybody in its state (`sleeps_s`); `awake_ms_max` bounds how long it talks. Readings
    that nobody took are kept for the next time, the newest eight of those with QoS 1; what was dropped is counted in `lost`.
    """

    def __init__(
        self, path: str, host: str, port: int = 1883, *, every_s: int, keep: "Keep", awake_ms_max: int = 10_000, **options: object
    ) -> None:
        if every_s < 1 or awake_ms_max < 1:
            raise ValueError("every_s and awake_ms_max start at 1")
        self._every_s = every_s
        self._awake_ms_max = awake_ms_max
        self._drained = False
        self._busy_parts: "list[Callable[[], bool]]" = []
        options.setdefault("unacked_max", 2 * _UNSENT_MAX)
        super().__init__(path, host, port, keep=keep, **options)  # type: ignore[arg-type]
        self._client.pipelined = True
        self.take(_AWAKE, self._came_back)
        asleep = self.memory.get(_ASLEEP)
        self._known: "dict[str, object]" = asleep if isinstance(asleep, dict) else {}
        self.lost = _number(self._known.get("lost"))
        """Readings that were dropped because nobody took them for too long."""
        self._round = _number(self._known.get("round")) + 1
        self._token = ("%d %s" % (self._round, self._session)).encode()
        self._take_up(self._known.get("unsent"))

    @property
    def resumed(self) -> bool:
        """Whether the broker still knew us."""
        return self._client.resumed

    def stay_while(self, is_busy: "Callable[[], bool]") -> None:
        """Do not go to sleep while this is true. Whoever asks for it bounds how long that is."""
        self._busy_parts.append(is_busy)

    def wake(self) -> "dict[str, int | bool]":
        """Tell what there is to tell, hear what waited, and leave; then keep what outlives the sleep.

        Returns:
            `drained`: whether all that waited was heard; `ms`: how long it took; `sent` and `read`: bytes of MQTT; `waiting`: readings that
            nobody took yet.

        Raises:
            OSError: there is no room to keep anything.
        """
        begun = ticks_ms()
        client = self._client
        client.remembered = client.persistent and self._known.get("subscribed") is True
        if self._known.get("told") != self._birth():
            self._publish_state()
        client.publish(self._in_prefix + _AWAKE, self._token, 1)
        until = ticks_add(begun, self._awake_ms_max)
        while not (self._drained and self.settled) and ticks_diff(until, ticks_ms()) > 0:
            self.step(max(1, ticks_diff(until, ticks_ms())))
        while any(is_busy() for is_busy in self._busy_parts):
            self.step(self._awake_ms_max)
        is_clean = client.up
        self._client.close()
        waiting = self._remember_sleep(is_clean)
        return {
            "drained": self._drained,
            "ms": ticks_diff(ticks_ms(), begun),
            "sent": client.bytes_sent,
            "read": client.bytes_read,
            "waiting": waiting,
        }

    def store(self) -> None:
        """As `Agent.store`. Where there is no room for all, readings that nobody took give way, then firings, the oldest first.

        Raises:
            OSError, ValueError: as there; there is no room for what is left.
        """
        while True:
            try:
                super().store()
            except OSError:
                if not self._give_way():
                    raise
            else:
                return

    def sleep(self) -> None:
        """Sleep until it is time again. A board is reset by that; where there is no deep sleep this returns after it."""
        try:
            from machine import deepsleep  # type: ignore[import-not-found]  # noqa: PLC0415 - boards alone have it
        except ImportError:
            sleep_ms(self._every_s * 1_000)
            return
        deepsleep(self._every_s * 1_000)

    def close(self, wait_ms: int = 2_000) -> None:  # noqa: ARG002 - there is nothing to say
        """Leave without a word: who sleeps is not offline."""
        self._client.close()

    def _came_back(self, payload: bytes, retained: bool) -> None:
        if payload == self._token and not retained:
            self._drained = True

    def _ready(self) -> None:
        if self._client.remembered and not self._client.resumed:  # the token went where nobody listened any more
            self._publish_state()
            self._client.publish(self._in_prefix + _AWAKE, self._token, 1)
        for part in self._ready_parts:
            part()

    def _birth(self) -> str:
        return "%s %d %d" % (self._name, self._revision, self._every_s)

    def _state(self, status: str, *, known: bool = True) -> bytes:
        more: "dict[str, object]" = {"sleeps_s": self._every_s} if status == "ready" else {}
        return self._state_with(status, known, more)

    def _remember_sleep(self, is_clean: bool) -> int:
        token = (self._in_prefix + _AWAKE).encode()
        waiting = [(packet_id, packet) for packet_id, packet in self._client.waiting() if token not in packet]
        self.lost += max(0, len(waiting) - _UNSENT_MAX)
        asleep: "dict[str, Any]" = {
            "round": self._round,
            "lost": self.lost,
            "subscribed": self._client.subscribed,
            "told": self._birth() if is_clean else "",  # whoever breaks off has its will published
            "unsent": [[packet_id, binascii.b2a_base64(packet).decode().strip()] for packet_id, packet in waiting[-_UNSENT_MAX:]],
        }
        self.memory[_ASLEEP] = asleep
        self.store()
        self.lost = asleep["lost"]
        return len(asleep["unsent"])

    def _give_way(self) -> bool:
        asleep = self.memory.get(_ASLEEP)
        if isinstance(asleep, dict) and asleep.get("unsent"):
            del asleep["unsent"][0]
            asleep["lost"] = _number(asleep.get("lost")) + 1  # what is kept; awake we have it still, and may get rid of it
            return True
        return self._judge is not None and self._judge.drop()

    def _take_up(self, unsent: object) -> None:
        try:
            for packet_id, packet in unsent or ():  # type: ignore[attr-defined]
                self._client.wait_again(int(packet_id), binascii.a2b_base64(packet))
        except (TypeError, ValueError) as error:
            self._log("what waited is damaged, and forgotten: %s" % error)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
