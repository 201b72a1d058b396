"""The example house on a real broker, in the evening: its compositions do what they do in virtual time."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from broker_process import BrokerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT_S = 60.0
EVENING = """
{"at": 0, "topic": "study/status", "payload": "online", "retain": true, "qos": 1}
{"at": 10, "topic": "tele/washer/SENSOR", "payload": {"ENERGY": {"Today": 1.5, "Power": 0.9}}}
{"at": 11, "topic": "study/sensor/temperature/state", "payload": 21.5}
{"at": 12, "topic": "study/sensor/co2/state", "payload": 1200}
{"at": 13, "topic": "study/sensor/illuminance/state", "payload": 420}
{"at": 20, "topic": "em/in/home/helper/say", "payload": "let the neighbour in", "qos": 1}
"""
PLAYED = 'start: "2015-02-05T20:43:00Z"\nspeed: 30\n'


class Phone:
    """Somebody who hears the whole bus, and answers."""

    def __init__(self, port: int) -> None:
        self._heard: queue.Queue[tuple[str, str]] = queue.Queue()
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._heard.put((message.topic, message.payload.decode()))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(WAIT_S)
        self._seen: list[tuple[str, str]] = []

    def first(self, topic: str) -> str:
        """The first message on a topic, whenever it came."""
        while True:
            found = next((payload for heard, payload in self._seen if heard == topic), None)
            if found is not None:
                return found
            self._seen.append(self._heard.get(timeout=WAIT_S))

    def say(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, 1).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def house(tmp_path: Path, own_broker: object) -> Iterator[Phone]:
    """The house on a broker of its own, from 21:43 on, thirty times as fast."""
    shutil.copytree(EXAMPLES / "home", tmp_path / "home")
    (tmp_path / "evening.jsonl").write_text(EVENING.lstrip())
    (tmp_path / "evening.play.yaml").write_text(PLAYED)
    broker: BrokerProcess = own_broker("mosquitto")  # type: ignore[operator]
    broker.start()
    phone = Phone(broker.port)
    words = [sys.executable, "-m", "edgematrix", "run", "home/home.yaml", "--broker", broker.url, "--play", "evening.jsonl"]
    calm = os.environ | {"NO_COLOR": "1"}
    with (tmp_path / "run.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=tmp_path, env=calm, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield phone
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0, (tmp_path / "run.log").read_text()
    finally:
        process.kill()
        process.wait()
        phone.close()


@pytest.mark.live
def test_the_evening_on_a_real_broker(house: Phone) -> None:
    question = json.loads(house.first("notify/phone/question"))
    assert (question["question"], question["choices"]) == ("Unlock the front door for the neighbour?", ["yes", "no"])
    house.say("notify/phone/answer", json.dumps({"answer": "yes", "run": question["run"]}))
    assert house.first("zigbee2mqtt/front_door/set") == "UNLOCK"

    assert house.first("study/switch/vent/command") == "ON"
    assert float(house.first("study/climate/radiator/target_temperature/command")) == 20

    summary = json.loads(house.first("em/out/home/report/summary"))["data"]
    assert (summary["verdict"], summary["drafts"]) == ("good", 1)
    assert summary["text"] == house.first("notify/phone")
