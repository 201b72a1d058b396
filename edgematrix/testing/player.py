"""Plays a recording to a broker as devices would: with a connection and a process of its own.

python -m edgematrix.testing.player --url mqtt://127.0.0.1:1883 --speed 60 day.jsonl

Each message has its moment, counted from the start; a late one moves none of the others. What was recorded as retained
is published as retained. While the broker is away, QoS 0 messages are lost, as a device's are, and QoS 1 messages wait.
At full speed there are no moments: the broker's acknowledgements set the pace, and all waits for a broker that is away.

Exit code: 0 all was played; 1 the broker is away, or some was lost; 2 wrong usage; 130 and 143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import math
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edgematrix.errors import AccessRefusedError, BusError, ConfigError, EdgeMatrixError, UsageError
from edgematrix.protocol.duration import SECOND_US, parse_duration
from edgematrix.testing.recording import Recorded, read_recording
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Played", "Player", "perform"]

_CONNECT_S_MAX = 10.0
_ACKNOWLEDGE_S_MAX = 10.0
_WAITING_MAX = 10_000
"""QoS 1 messages that wait for the broker; beyond it they are lost."""
_INFLIGHT_MAX = 100
"""QoS 1 messages that are sent without an acknowledgement."""
_UNACKNOWLEDGED_MAX = 1_000
"""At full speed no more than so many wait for theirs."""
_FENCE_EVERY = 500
"""After so many messages the broker is asked for a word; the next so many are sent meanwhile, and no more without it."""
_FENCE = "edgematrix/player/fence"
"""A filter that nobody has asked for. That it is given up is acknowledged in order, as no QoS 0 message is (MQTT 3.1.1, 3.10.4)."""
_WATCH_S = 0.05
_SIGNAL_EXIT = 128


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a recording. `late_us_max` is how late the latest message was."""

    published: int
    lost: int
    late_us_max: int
    stopped: bool


class Player:
    """Plays messages in order of time.

    Args:
        endpoint: the broker.
        speed: how many seconds of the recording pass in one; `math.inf`: as fast as it goes.
        away_s_max: how long the broker may be away.
    """

    def __init__(self, endpoint: Endpoint, *, speed: float = 1.0, away_s_max: float = 60.0) -> None:
        self._endpoint = endpoint
        self._speed = speed
        self._full_speed = math.isinf(speed)
        self._away_s_max = away_s_max
        self._stopping = False
        self._connected = threading.Event()
        self._refusal = ""
        self._away_since = 0.0
        self._waiting: set[int] = set()
        self._acknowledged: deque[int] = deque()
        self._fences_raised = 0
        self._fences_down = 0
        self._progress = threading.Event()
        self._client = self._make_client()

    def stop(self) -> None:
        """End at once; may be called by a signal handler or another thread."""
        self._stopping = True  # and no event: a signal may come while this thread holds its lock

    def play(self, messages: Iterable[Recorded], from_us: int = 0, until_us: int | None = None) -> Played:
        """Play the messages from `from_us` to `until_us` (both included); `from_us` is now.

        Raises:
            BusError: the broker does not answer, or was away for too long.
            AccessRefusedError: the broker refuses us.
            ConfigError, CodecError: the recording is broken.
        """
        try:
            self._connect()
            played = self._play(messages, from_us, until_us)
            self._drain()
        finally:
            self._client.disconnect()
            self._client.loop_stop()
        unknown = len(self._waiting)
        return Played(played.published - unknown, played.lost + unknown, played.late_us_max, self._stopping)

    def _play(self, messages: Iterable[Recorded], from_us: int, until_us: int | None) -> Played:
        started = time.monotonic()
        published = lost = late_us_max = 0
        for message in messages:
            if message.at_us < from_us:
                continue
            if until_us is not None and message.at_us > until_us:
                break
            due = started + (message.at_us - from_us) / SECOND_US / self._speed
            if not self._wait_until(due) or not self._keep_pace(published):
                return Played(published, lost, late_us_max, stopped=True)
            if not self._full_speed:
                late_us_max = max(late_us_max, round((time.monotonic() - due) * SECOND_US))
            if self._publish(message):
                published += 1
            else:
                lost += 1
        return Played(published, lost, late_us_max, stopped=False)

    def _wait_until(self, due: float) -> bool:
        """Wait, and watch the broker meanwhile; False if we were stopped."""
        while True:
            self._check_broker()
            rest_s = due - time.monotonic()
            if rest_s <= 0 or self._stopping:
                return not self._stopping
            time.sleep(min(rest_s, _WATCH_S))

    def _keep_pace(self, published: int) -> bool:
        """Let the broker keep up with what has been published; False if we were stopped.

        A broker that is away holds up nothing, unless there is all the time in the world.
        """
        if self._full_speed and not self._wait_while(lambda: not self._connected.is_set() or len(self._waiting) >= _UNACKNOWLEDGED_MAX):
            return False
        if published % _FENCE_EVERY or not published:
            return True
        if not self._wait_while(lambda: self._fences_raised > self._fences_down):
            return False
        self._raise_fence()
        return True

    def _raise_fence(self) -> None:
        self._fences_raised += 1
        result, _ = self._client.unsubscribe(_FENCE)
        if result != mqtt.MQTT_ERR_SUCCESS:
            self._fences_raised -= 1

    def _wait_while(self, holds: Callable[[], bool]) -> bool:
        while True:
            self._progress.clear()
            self._take_acknowledged()
            if self._stopping:
                return False
            if not holds():
                return True
            self._check_broker()
            self._progress.wait(_WATCH_S)

    def _check_broker(self) -> None:
        if self._refusal:
            raise AccessRefusedError(self._refusal, where=str(self._endpoint))
        if not self._connected.is_set() and time.monotonic() - self._away_since > self._away_s_max:
            raise BusError(f"the broker has been away for {self._away_s_max:g} s", where=str(self._endpoint))

    def _publish(self, message: Recorded) -> bool:
        info = self._client.publish(message.topic, message.wire(), message.qos, message.retain)
        if message.qos == 0:
            return info.rc == mqtt.MQTT_ERR_SUCCESS
        if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            return False
        self._waiting.add(info.mid)
        self._take_acknowledged()
        return True

    def _take_acknowledged(self) -> None:
        while self._acknowledged:
            self._waiting.discard(self._acknowledged.popleft())

    def _drain(self) -> None:
        """Wait until the broker has taken all that was sent; the QoS 1 messages that it has not acknowledged stay in `_waiting`."""
        until = time.monotonic() + _ACKNOWLEDGE_S_MAX
        self._raise_fence()
        self._take_acknowledged()
        while (self._waiting or self._fences_raised > self._fences_down) and not self._stopping and time.monotonic() < until:
            time.sleep(0.01)
            self._take_acknowledged()

    def _connect(self) -> None:
        endpoint = self._endpoint
        try:
            self._client.connect(endpoint.host, endpoint.port, keepalive=30)
        except OSError as error:
            raise BusError(f"the broker does not answer: {error.strerror or error}", where=str(endpoint)) from None
        self._client.loop_start()
        until = time.monotonic() + _CONNECT_S_MAX
        while not self._connected.wait(0.05) and not self._stopping:
            if self._refusal:
                raise AccessRefusedError(self._refusal, where=str(endpoint))
            if time.monotonic() > until:
                raise BusError(f"the broker takes the connection, but says nothing for {_CONNECT_S_MAX:g} s", where=str(endpoint))

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(_WAITING_MAX)
        client.max_inflight_messages_set(_INFLIGHT_MAX)
        client.reconnect_delay_set(1, 5)
        if self._endpoint.username is not None:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        context = self._endpoint.ssl_context()
        if context is not None:
            client.tls_set_context(context)
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _data, mid, *_: self._on_acknowledged(mid)
        client.on_unsubscribe = lambda *_: self._on_fence_down()
        return client

    def _on_connect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses us: {reason}"
        else:
            self._connected.set()
        self._progress.set()

    def _on_disconnect(self, *_: Any) -> None:
        if self._connected.is_set():
            self._away_since = time.monotonic()
            self._connected.clear()
        self._fences_down = self._fences_raised  # nobody will answer for them
        self._progress.set()

    def _on_acknowledged(self, mid: int) -> None:
        self._acknowledged.append(mid)
        self._progress.set()

    def _on_fence_down(self) -> None:
        self._fences_down += 1
        self._progress.set()


def _no_delay(_client: mqtt.Client, _data: Any, connection: Any) -> None:
    """Without this a QoS 1 message can wait 40 ms for a delayed TCP acknowledgement."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def perform(player: Player, messages: Iterable[Recorded], from_us: int = 0, until_us: int | None = None) -> int:
    """Play until the end, or until a signal; say on standard output what became of it, and return the exit code.

    Raises:
        EdgeMatrixError: as `Player.play`.
    """
    received: list[int] = []
    _stop_on_signals(player, received)
    played = player.play(messages, from_us, until_us)
    late = f", at most {played.late_us_max / 1000:.0f} ms late" if played.late_us_max else ""
    stopped = ", stopped" if played.stopped else ""
    sys.stdout.write(f"played {played.published} messages, {played.lost} lost{late}{stopped}\n")
    if received:
        return _SIGNAL_EXIT + received[0]
    return 1 if played.lost else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a file; returns the exit code."""
    options = _options().parse_args(arguments)
    try:
        player = Player(Endpoint.parse(options.url), speed=options.speed, away_s_max=options.away / SECOND_US)
        return perform(player, read_recording(options.file), options.from_, options.until)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except EdgeMatrixError as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, ConfigError) else f"error: {error}\n")
        return 1


def _stop_on_signals(player: Player, received: list[int]) -> None:
    def stop(number: int, _frame: Any) -> None:
        received.append(number)
        player.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgematrix.testing.player", description="Play a recording to a broker.")
    parser.add_argument("file", type=Path, help="one JSON object a line: at, topic, payload, retain, qos")
    parser.add_argument("--url", default="mqtt://127.0.0.1:1883", help="the broker; mqtt://[user:password@]host[:port] (%(default)s)")
    parser.add_argument("--speed", type=_speed, default=1.0, help="seconds of the recording in one second, or max (%(default)s)")
    parser.add_argument("--from", dest="from_", type=_duration, default=0, metavar="AT", help="begin here, such as 6h")
    parser.add_argument("--until", type=_duration, metavar="AT", help="end here, included")
    parser.add_argument("--away", type=_duration, default=60 * SECOND_US, help="give up when the broker is away for so long (1m)")
    return parser


def _duration(text: str) -> int:
    try:
        return parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, or max, found {text!r}")
    return speed


if __name__ == "__main__":
    sys.exit(main())
