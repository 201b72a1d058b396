"""Plays a recording to a broker as devices would: with a connection and a process of its own.

python -m edgematrix.testing.player --url mqtt://127.0.0.1:1883 --speed 60 day.jsonl

Each message has its moment, counted from the start; a late one moves none of the others. What was recorded as retained
is published as retained. While the broker is away, QoS 0 messages are lost, as a device's are, and QoS 1 messages wait.

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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edgematrix.errors import AccessRefusedError, BusError, ConfigError, EdgeMatrixError, UsageError
from edgematrix.protocol.duration import SECOND_US, parse_duration
from edgematrix.testing.recording import Recorded, read_recording
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Played", "Player"]

_CONNECT_S_MAX = 10.0
_ACKNOWLEDGE_S_MAX = 10.0
_WAITING_MAX = 10_000
"""QoS 1 messages that wait for the broker; beyond it they are lost."""
_FLUSH_EVERY = 500
"""After so many messages the player waits until the network has taken them."""
_WATCH_S = 0.2
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
        self._away_s_max = away_s_max
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._refusal = ""
        self._away_since = 0.0
        self._waiting: set[int] = set()
        self._acknowledged: deque[int] = deque()
        self._client = self._make_client()

    def stop(self) -> None:
        """End at once; may be called by a signal handler or another thread."""
        self._stop.set()

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
        return Played(played.published - unknown, played.lost + unknown, played.late_us_max, self._stop.is_set())

    def _play(self, messages: Iterable[Recorded], from_us: int, until_us: int | None) -> Played:
        started = time.monotonic()
        published = lost = late_us_max = 0
        for message in messages:
            if message.at_us < from_us:
                continue
            if until_us is not None and message.at_us > until_us:
                break
            if not self._wait_until(started + (message.at_us - from_us) / SECOND_US / self._speed):
                return Played(published, lost, late_us_max, stopped=True)
            late_s = time.monotonic() - started - (message.at_us - from_us) / SECOND_US / self._speed
            if not math.isinf(self._speed):
                late_us_max = max(late_us_max, round(late_s * SECOND_US))
            if self._publish(message, flush=published % _FLUSH_EVERY == _FLUSH_EVERY - 1):
                published += 1
            else:
                lost += 1
        return Played(published, lost, late_us_max, stopped=False)

    def _wait_until(self, due: float) -> bool:
        """Wait, and watch the broker meanwhile; False if we were stopped."""
        while True:
            if self._refusal:
                raise AccessRefusedError(self._refusal, where=str(self._endpoint))
            if not self._connected.is_set() and time.monotonic() - self._away_since > self._away_s_max:
                raise BusError(f"the broker has been away for {self._away_s_max:g} s", where=str(self._endpoint))
            rest_s = due - time.monotonic()
            if rest_s <= 0:
                return not self._stop.is_set()
            if self._stop.wait(min(rest_s, _WATCH_S)):
                return False

    def _publish(self, message: Recorded, *, flush: bool) -> bool:
        info = self._client.publish(message.topic, message.wire(), message.qos, message.retain)
        if message.qos == 0:
            if info.rc != mqtt.MQTT_ERR_SUCCESS:
                return False
            if flush:
                info.wait_for_publish(_ACKNOWLEDGE_S_MAX)
            return True
        if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            return False
        self._waiting.add(info.mid)
        self._take_acknowledged()
        return True

    def _take_acknowledged(self) -> None:
        while self._acknowledged:
            self._waiting.discard(self._acknowledged.popleft())

    def _drain(self) -> None:
        """Wait until the broker has acknowledged what it is to acknowledge; what it has not stays in `_waiting`."""
        until = time.monotonic() + _ACKNOWLEDGE_S_MAX
        self._take_acknowledged()
        while self._waiting and not self._stop.wait(0.01) and time.monotonic() < until:
            self._take_acknowledged()

    def _connect(self) -> None:
        endpoint = self._endpoint
        try:
            self._client.connect(endpoint.host, endpoint.port, keepalive=30)
        except OSError as error:
            raise BusError(f"the broker does not answer: {error.strerror or error}", where=str(endpoint)) from None
        self._client.loop_start()
        until = time.monotonic() + _CONNECT_S_MAX
        while not self._connected.wait(0.05) and not self._stop.is_set():
            if self._refusal:
                raise AccessRefusedError(self._refusal, where=str(endpoint))
            if time.monotonic() > until:
                raise BusError(f"the broker takes the connection, but says nothing for {_CONNECT_S_MAX:g} s", where=str(endpoint))

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(_WAITING_MAX)
        client.reconnect_delay_set(1, 5)
        if self._endpoint.username is not None:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        context = self._endpoint.ssl_context()
        if context is not None:
            client.tls_set_context(context)
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _data, mid, *_: self._acknowledged.append(mid)
        return client

    def _on_connect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses us: {reason}"
        else:
            self._connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        if self._connected.is_set():
            self._away_since = time.monotonic()
            self._connected.clear()


def _no_delay(_client: mqtt.Client, _data: Any, connection: Any) -> None:
    """Without this a QoS 1 message can wait 40 ms for a delayed TCP acknowledgement."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a file; returns the exit code."""
    options = _options().parse_args(arguments)
    received: list[int] = []
    try:
        player = Player(Endpoint.parse(options.url), speed=options.speed, away_s_max=options.away / SECOND_US)
        _stop_on_signals(player, received)
        played = player.play(read_recording(options.file), options.from_, options.until)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except EdgeMatrixError as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, ConfigError) else f"error: {error}\n")
        return 1
    late = f", at most {played.late_us_max / 1000:.0f} ms late" if played.late_us_max else ""
    stopped = ", stopped" if played.stopped else ""
    sys.stdout.write(f"played {played.published} messages, {played.lost} lost{late}{stopped}\n")
    if received:
        return _SIGNAL_EXIT + received[0]
    return 1 if played.lost else 0


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
