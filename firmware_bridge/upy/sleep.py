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
from .pipeline import Pipeline
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
_NOWHERE = -1


class Sleeper(Agent):
    """An agent that is awake now and then.

    `every_s` is how long it sleeps, told to everybody in its state (`sleeps_s`); `awake_ms_max` bounds how long it talks. Readings
    that nobody took are kept for the next time, the newest eight of those with QoS 1; what was dropped is counted in `lost`. What
    does not go in one write with the greeting leaves in turns: up to `readings_max` readings wait for that, beyond it the oldest goes.
    """

    def __init__(
        self,
        path: str,
        host: str,
        port: int = 1883,
        *,
        every_s: int,
        keep: "Keep",
        awake_ms_max: int = 10_000,
        readings_max: int = 32,
        **options: object,
    ) -> None:
        if every_s < 1 or awake_ms_max < 1 or readings_max < 1:
            raise ValueError("every_s, awake_ms_max and readings_max start at 1")
        self._every_s = every_s
        self._awake_ms_max = awake_ms_max
        self._readings_max = readings_max
        self._readings: "list[tuple[str, bytes, int, bool]]" = []
        """What is to go out and did not fit yet."""
        self._drained = False
        self._token_due = True
        self._told_at = _NOWHERE
        """The broker that has our birth."""
        self._busy_parts: "list[Callable[[], bool]]" = []
        options.setdefault("unacked_max", 2 * _UNSENT_MAX)
        self._client: Pipeline
        super().__init__(path, host, port, keep=keep, **options)  # type: ignore[arg-type]
        self.take(_AWAKE, self._came_back)
        asleep = self.memory.get(_ASLEEP)
        self._known: "dict[str, object]" = asleep if isinstance(asleep, dict) else {}
        self.lost = _number(self._known.get("lost"))
        """Readings that were dropped because nobody took them for too long."""
        self._round = _number(self._known.get("round")) + 1
        self._token = ("%d %s" % (self._round, self._session)).encode()
        self._take_up(self._known.get("unsent"))

    def _new_client(self, *arguments: object, **options: object) -> Pipeline:
        return Pipeline(*arguments, **options)  # type: ignore[arg-type]

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
        brokers = client.brokers
        brokers.known = _number(self._known.get("subscribed")) if client.persistent else 0
        brokers.at = _number(self._known.get("at"))
        if self._known.get("told") == self._birth():
            self._told_at = brokers.at
        else:
            self._publish_state()  # to whatever broker it is
        until = ticks_add(begun, self._awake_ms_max)
        while True:
            self._send_turn()
            rest_ms = ticks_diff(until, ticks_ms())
            if self._is_done or rest_ms <= client.rest_ms:  # what would be tried after that is for the next time
                break
            self.step(rest_ms)
        while any(is_busy() for is_busy in self._busy_parts):
            self.step(self._awake_ms_max)
        is_clean = client.up
        if is_clean and not self._drained:
            brokers.forget()  # it took what we said, and told nothing: ask for it anew the next time
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

    @property
    def _is_done(self) -> bool:
        return self._drained and not self._readings and self.settled

    def _put_out(self, port: str, payload: bytes, qos: int, retain: bool) -> bool:
        """Let it go, or wait for its turn: a place among what the broker has to acknowledge is left for the token."""
        waits = self._readings or (qos and self._token_due and self._client.room < 2)
        if not waits and super()._put_out(port, payload, qos, retain):
            return True
        self._client.packed(self._topic("out", port), payload, retain)  # one that is too large is told at once
        self._readings.append((port, payload, qos, retain))
        if len(self._readings) > self._readings_max:
            self._drop(self._readings.pop(0))
        return True

    def _drop(self, reading: "tuple[str, bytes, int, bool]") -> None:
        port, _, qos, retain = reading
        if qos:
            self.lost += 1
        if not retain:
            self._unsent(port)

    def _token_is_out(self) -> bool:
        token = (self._in_prefix + _AWAKE).encode()
        return any(token in packet for _, packet in self._client.waiting())

    def _send_turn(self) -> None:
        """Send as much of what waits as the client takes; the token comes first, for it goes with the greeting."""
        if self._token_due and self._client.publish(self._in_prefix + _AWAKE, self._token, 1):
            self._token_due = False
        while self._readings and super()._put_out(*self._readings[0]):
            del self._readings[0]

    def _came_back(self, payload: bytes, retained: bool) -> None:
        if payload == self._token and not retained:
            self._drained = True

    def _ready(self) -> None:
        brokers = self._client.brokers
        if brokers.forgot or self._told_at not in (_NOWHERE, brokers.at):
            self._publish_state()
        if brokers.forgot or (not self._drained and not self._token_is_out()):
            self._token_due = True  # it went where nobody listened any more, or to a broker that has lost it
        brokers.forgot, self._told_at = False, brokers.at
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
        for port, payload, qos, retain in self._readings:
            if qos:
                waiting.append(self._client.packed(self._topic("out", port), payload, retain))
            else:
                self._unsent(port)
        self._readings = []
        self.lost += max(0, len(waiting) - _UNSENT_MAX)
        asleep: "dict[str, Any]" = {
            "round": self._round,
            "lost": self.lost,
            "subscribed": self._client.brokers.known,
            "at": self._client.brokers.at,
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
    return int(value) if isinstance(value, int) else 0
