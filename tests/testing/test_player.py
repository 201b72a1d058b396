"""The player as a process of its own, against a real broker."""

from __future__ import annotations

import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from free_port import free_port
from paho.mqtt.enums import CallbackAPIVersion

WAIT_S = 60.0
Play = Callable[..., "subprocess.Popen[str]"]


class Ground:
    """A broker on a free port, and what one listener hears there."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.heard: queue.Queue[tuple[float, str, bytes, bool]] = queue.Queue()
        self._config = folder / "m.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n")
        self._subscribed = threading.Event()
        self.start()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda *_: self.client.subscribe("#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _c, _d, found: self.heard.put((time.monotonic(), found.topic, found.payload, found.retain))
        self.client.reconnect_delay_set(1, 1)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_S
        while not self._answers():
            assert time.monotonic() < until, "mosquitto does not come up"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def listen(self) -> None:
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self._subscribed.wait(WAIT_S)

    def next(self) -> tuple[float, str, bytes, bool]:
        return self.heard.get(timeout=WAIT_S)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.kill()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    found = Ground(tmp_path)
    yield found
    found.close()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    started: list[subprocess.Popen[str]] = []

    def start(lines: list[dict[str, object]], *options: str) -> subprocess.Popen[str]:
        path = tmp_path / "day.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        words = [sys.executable, "-m", "edgematrix.testing.player", *options, str(path)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


def test_payloads_flags_and_order_are_kept(ground: Ground, play: Play) -> None:
    lines: list[dict[str, object]] = [
        {"at": 0, "topic": "zigbee2mqtt/hall", "payload": {"occupancy": True}},
        {"at": 0, "topic": "tele/x/LWT", "payload": "Online", "retain": True, "qos": 1},
        {"at": 1, "topic": "temp", "payload": 21.5},
        {"at": 1, "topic": "temp", "payload": "21.5"},
        {"at": 2, "topic": "raw", "payload_base64": "/wA="},
    ]
    ground.listen()
    assert outcome(play(lines, "--url", ground.url, "--speed", "max")) == (0, "played 5 messages, 0 lost\n", "")
    found = [ground.next()[1:3] for _ in lines]
    assert [(topic, payload) for topic, payload in found] == [
        ("zigbee2mqtt/hall", b'{"occupancy":true}'),
        ("tele/x/LWT", b"Online"),
        ("temp", b"21.5"),
        ("temp", b'"21.5"'),
        ("raw", b"\xff\x00"),
    ]
    late = mqtt.Client(CallbackAPIVersion.VERSION2)
    retained: queue.Queue[tuple[str, bytes]] = queue.Queue()
    late.on_connect = lambda *_: late.subscribe("#")
    late.on_message = lambda _c, _d, message: retained.put((message.topic, message.payload))
    late.connect("127.0.0.1", ground.port)
    late.loop_start()
    assert retained.get(timeout=WAIT_S) == ("tele/x/LWT", b"Online")
    late.disconnect()
    late.loop_stop()


@pytest.mark.parametrize("qos", [0, 1])
def test_at_full_speed_the_broker_sets_the_pace_and_nothing_is_lost(ground: Ground, play: Play, qos: int) -> None:
    """More than any queue on the way holds: the player waits for the broker."""
    count = 15_000
    ground.listen()
    lines: list[dict[str, object]] = [{"at": n, "topic": "t", "payload": n, "qos": qos} for n in range(count)]
    assert outcome(play(lines, "--url", ground.url, "--speed", "max")) == (0, f"played {count} messages, 0 lost\n", "")
    assert [int(ground.next()[2]) for _ in range(count)] == list(range(count))


def test_at_full_speed_all_waits_for_a_broker_that_is_away(ground: Ground, play: Play) -> None:
    ground.listen()
    process = play([{"at": n, "topic": "t", "payload": n, "qos": 1} for n in range(10_000)], "--url", ground.url, "--speed", "max")
    ground.next()
    ground.kill()
    ground.start()
    code, out, err = outcome(process)
    assert (code, out, err) == (0, "played 10000 messages, 0 lost\n", "")


def test_the_schedule_is_absolute(ground: Ground, play: Play) -> None:
    """200 messages, 0.6 s apart, at 60 times the speed: two seconds, without a drift that adds up."""
    ground.listen()
    process = play([{"at": n * 0.6, "topic": "t", "payload": n} for n in range(201)], "--url", ground.url, "--speed", "60")
    moments = [ground.next()[0] for _ in range(201)]
    assert outcome(process)[0] == 0
    late_s = [moment - n * 0.01 for n, moment in enumerate(moments)]
    # Those of some messages that were least late: a busy machine keeps a single one back.
    assert abs(min(late_s[150:]) - min(late_s[:50])) < 0.1
    assert abs(min(late_s[75:125]) - min(late_s[:50])) < 0.1


def test_a_part_of_the_day_begins_at_once(ground: Ground, play: Play) -> None:
    ground.listen()
    lines: list[dict[str, object]] = [{"at": hour * 3600, "topic": "hour", "payload": hour} for hour in range(24)]
    assert outcome(play(lines, "--url", ground.url, "--speed", "100000", "--from", "6h", "--until", "28800"))[0] == 0
    assert [ground.next()[2] for _ in range(3)] == [b"6", b"7", b"8"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_it_at_once(ground: Ground, play: Play, number: signal.Signals, code: int) -> None:
    ground.listen()
    process = play([{"at": 0, "topic": "t", "payload": 1}, {"at": 3600, "topic": "t", "payload": 2}], "--url", ground.url)
    ground.next()
    asked = time.monotonic()
    process.send_signal(number)
    found, out, err = outcome(process)
    assert (found, err) == (code, "")
    assert out.startswith("played 1 messages, 0 lost")
    assert out.endswith(", stopped\n")
    assert time.monotonic() - asked < WAIT_S  # not the hour that the recording goes on for


def test_a_broker_that_is_not_there_is_one_line(ground: Ground, play: Play) -> None:
    ground.kill()
    code, out, err = outcome(play([{"at": 0, "topic": "t", "payload": 1}], "--url", ground.url))
    assert (code, out) == (1, "")
    assert err == f"error: {ground.url}: the broker does not answer: Connection refused\n"


def test_a_broker_that_goes_away_and_comes_back(ground: Ground, play: Play) -> None:
    """QoS 0 is lost meanwhile and counted; QoS 1 waits; the clock goes on."""
    ground.listen()
    lines: list[dict[str, object]] = [{"at": n / 20, "topic": f"q{n % 2}", "payload": n, "qos": n % 2} for n in range(80)]
    process = play(lines, "--url", ground.url)
    ground.next()
    ground.kill()
    time.sleep(1.5)  # of the four seconds that it plays for
    ground.start()
    code, out, _ = outcome(process)
    assert code == 1
    lost = int(out.split("messages, ")[1].split(" lost")[0])
    assert 1 <= lost <= 40
    while ground.next()[2] != b"79":
        continue


def test_a_broker_that_stays_away_is_given_up(ground: Ground, play: Play) -> None:
    ground.listen()
    process = play([{"at": n / 10, "topic": "t", "payload": n} for n in range(600)], "--url", ground.url, "--away", "300ms")
    ground.next()
    ground.kill()
    code, _, err = outcome(process)
    assert (code, err) == (1, f"error: {ground.url}: the broker has been away for 0.3 s\n")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--speed", "0"], "expected a number above 0, or max, found '0'"),
        (["--from", "dawn"], "expected a duration such as"),
        (["--url", "http://x"], "not mqtt or mqtts"),
        (["--url", "mqtts://x?ca=/nowhere.pem"], "the authority's certificate cannot be used"),
    ],
)
def test_wrong_usage_is_said(play: Play, options: list[str], complaint: str) -> None:
    code, out, err = outcome(play([], *options))
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_a_broken_recording_plays_nothing(ground: Ground, play: Play) -> None:
    ground.listen()
    code, out, err = outcome(play([{"at": 0, "topic": "t", "payload": 1}, {"at": 1, "topic": "t/+", "payload": 1}], "--url", ground.url))
    assert (code, out) == (1, "")
    assert "day.jsonl:2: error: topic: topic 't/+' holds '+'" in err
    assert ground.heard.empty()
