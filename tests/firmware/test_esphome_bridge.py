"""`edgematrix bridge esphome` as a process, between a device that speaks the native API and mosquitto."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import api_pb2 as pb
from aioesphomeapi.model import (
    ButtonInfo,
    CoverInfo,
    FanInfo,
    LightInfo,
    NumberInfo,
    SelectInfo,
    SensorInfo,
    SensorState,
    SwitchInfo,
    TextInfo,
)
from broker_process import BrokerProcess
from esphome_device import EsphomeDevice
from firmware_bench import Listener
from test_esphome_yaml import ESPHOME

from edgematrix.cli import main
from firmware_bridge.esphome.entity import command_for, input_port, output_port, value_of

MATRIX = """
matrix: home
agents:
  tank:
    host: tank
    inputs: {set_pump: boolean, set_speed: number, set_lamp: any, set_nothing: any}
    outputs: {level: {type: number, retain: true, qos: 1}, pump: boolean}
"""
OUT, IN, ACK, STATE = "em/out/home/tank", "em/in/home/tank", "em/ack/home/tank", "em/state/home/tank"
WAIT_S = 60.0


@pytest.fixture
def device() -> Iterator[EsphomeDevice]:
    found = EsphomeDevice()
    yield found
    found.close()


@pytest.fixture
def bus(mosquitto: BrokerProcess) -> Iterator[Listener]:
    found = Listener(mosquitto.port)
    yield found
    for topic in (STATE, f"{OUT}/level"):
        found.publish(topic, b"", retain=True)
    found.close()


@pytest.fixture
def bridge(mosquitto: BrokerProcess, tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, *more: str) -> subprocess.Popen[bytes]:
        (tmp_path / "home.yaml").write_text(MATRIX)
        words = ["bridge", "esphome", "home.yaml", "--device", f"home/tank=127.0.0.1:{port}", "--broker", mosquitto.url, *more]
        with (tmp_path / "log").open("wb") as log:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
            command = [sys.executable, "-m", "edgematrix", *words]
            started.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def is_status(status: str) -> Callable[[bytes], bool]:
    return lambda payload: f'"status":"{status}"'.encode() in payload


def event(value: object, number: int, **more: object) -> str:
    made = {"specversion": "1.0", "id": f"c{number}", "source": "/home/rule", "type": "em.in", "data": value}
    return json.dumps(made | more)


def test_a_device_without_mqtt_is_an_agent(
    bridge: Callable[[int], subprocess.Popen[bytes]], device: EsphomeDevice, bus: Listener, tmp_path: Path
) -> None:
    process = bridge(device.port)
    assert bus.wait_for(f"{OUT}/level") == b"21.5"
    assert bus.wait_for(f"{OUT}/pump") == b"false"
    bus.publish(f"{IN}/set_pump", event(True, 1))
    assert json.loads(bus.wait_for(ACK)) == {"id": "c1"}
    assert device.wait_for(pb.SwitchCommandRequest).state is True
    bus.publish(f"{IN}/set_pump", event(True, 1))
    assert json.loads(bus.wait_for(ACK)) == {"id": "c1"}
    bus.publish(f"{IN}/set_lamp", event({"state": True, "brightness": 0.5}, 2))
    lamp = device.wait_for(pb.LightCommandRequest)
    assert (lamp.state, lamp.brightness) == (True, 0.5)
    for number, (port, value) in enumerate([("set_speed", 11), ("set_pump", "on"), ("set_nothing", 1), ("set_lamp", {"colour": 1})], 10):
        bus.publish(f"{IN}/{port}", event(value, number))
        answer = json.loads(bus.wait_for(ACK, lambda payload, number=number: f'"c{number}"'.encode() in payload))  # type: ignore[misc]
        assert answer["error"]
    bus.publish(f"{IN}/set_pump", event(False, 20, expirytime="2020-01-01T00:00:00Z"))
    assert "expired" in json.loads(bus.wait_for(ACK, lambda payload: b'"c20"' in payload))["error"]
    bus.publish(f"{IN}/set_pump", '{"specversion": "1.0"}')
    bus.publish(f"{IN}/set_speed", "7")
    assert device.wait_for(pb.NumberCommandRequest).state == 7
    assert not [one for one in device.asked if isinstance(one, pb.SwitchCommandRequest | pb.LightCommandRequest)]
    device.tell(pb.SensorStateResponse(key=1, missing_state=True))
    assert bus.wait_for(f"{OUT}/level") == b"null"
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 0
    state = json.loads(bus.wait_for(STATE, is_status("offline")))
    assert state["bridge"]["counts"] == {
        "commands_done": 3,
        "commands_expired": 1,
        "commands_malformed": 1,
        "commands_refused": 4,
        "commands_repeated": 1,
    }
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert "the device has nothing for set_nothing; it has speed, lamp" in said


KEY = "QRTIErOb/fcE9Ukd/5qA3RGYMn0Y+p06U58SCtOXvPc="


@pytest.mark.parametrize("is_right", [True, False])
def test_a_device_that_is_encrypted(bridge: Callable[..., subprocess.Popen[bytes]], bus: Listener, tmp_path: Path, is_right: bool) -> None:
    """By the key that it has, and not by another."""
    device = EsphomeDevice(key=KEY)
    (tmp_path / "key").write_text(KEY if is_right else "A" * 43 + "=")
    (tmp_path / "key").chmod(0o600)
    bridge(device.port, "--key", "home/tank=key")
    if is_right:
        assert bus.wait_for(f"{OUT}/level") == b"21.5"
        bus.publish(f"{IN}/set_pump", event(True, 1))
        assert device.wait_for(pb.SwitchCommandRequest).state is True
    else:
        reason = json.loads(bus.wait_for(STATE, lambda payload: b"cannot be reached" in payload))["reason"]
        assert "key" in reason.lower()
    device.close()


def test_a_device_that_goes_and_comes_back(
    bridge: Callable[[int], subprocess.Popen[bytes]], device: EsphomeDevice, bus: Listener, mosquitto: BrokerProcess
) -> None:
    process = bridge(device.port)
    bus.wait_for(STATE, is_status("ready"))
    device.hang_up()
    assert "its connection is gone" in json.loads(bus.wait_for(STATE, is_status("offline")))["reason"]
    answers = Listener(mosquitto.port)  # of its own: it is back before or after it has been asked
    bus.publish(f"{IN}/set_pump", event(True, 1))
    answers.wait_for(ACK)
    answers.close()
    bus.wait_for(STATE, is_status("ready"))
    process.kill()
    bus.wait_for(STATE, lambda payload: b"the bridge is gone" in payload)


def test_a_device_that_is_not_there_is_told(bridge: Callable[[int], subprocess.Popen[bytes]], bus: Listener) -> None:
    bridge(9)
    assert "cannot be reached at 127.0.0.1:9" in json.loads(bus.wait_for(STATE, lambda payload: b"cannot be reached" in payload))["reason"]


def test_entities_are_ports() -> None:
    assert output_port(SensorInfo(object_id="Kitchen Täst", key=1)) == "kitchen_t_st"
    assert output_port(ButtonInfo(object_id="reset")) is None
    assert input_port(SensorInfo(object_id="level")) is None
    assert input_port(SwitchInfo(object_id="x" * 80)) == ("set_" + "x" * 60)
    assert value_of(SensorState(key=1, state=float("nan"))) is None


@pytest.mark.parametrize(
    ("info", "value", "command"),
    [
        (ButtonInfo(), None, ("button_command", {})),
        (SelectInfo(options=["a", "b"]), "b", ("select_command", {"state": "b"})),
        (TextInfo(min_length=1, max_length=3), "abc", ("text_command", {"state": "abc"})),
        (NumberInfo(min_value=1, max_value=2), 1, ("number_command", {"state": 1.0})),
        (FanInfo(), {"state": True, "speed_level": 3}, ("fan_command", {"state": True, "speed_level": 3})),
        (CoverInfo(), {"stop": True}, ("cover_command", {"stop": True})),
        (LightInfo(), False, ("light_command", {"state": False})),
        (LightInfo(), {"rgb": [1, 0, 0.5]}, ("light_command", {"rgb": (1, 0, 0.5)})),
        (SelectInfo(options=["a"]), "c", None),
        (SelectInfo(options=["a"]), ["a"], None),
        (TextInfo(min_length=1, max_length=3), "abcd", None),
        (NumberInfo(min_value=1, max_value=2), True, None),
        (SwitchInfo(), 1, None),
        (FanInfo(), {"state": 1}, None),
        (CoverInfo(), True, None),
        (CoverInfo(), {"position": 2}, None),
        (LightInfo(), {}, None),
        (LightInfo(), {"rgb": [1, 0]}, None),
        (LightInfo(), {"brightness": "1"}, None),
    ],
)
def test_a_command_is_judged_by_its_entity(info: Any, value: object, command: tuple[str, dict[str, Any]] | None) -> None:
    if command is None:
        with pytest.raises(ValueError, match="expected|none of"):
            command_for(info, value)
    else:
        found = command_for(info, value)
        assert (found.method, dict(found.arguments)) == command


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--device", "home/tank"], "is not PATH=HOST"),
        (["--device", "home/tank=a:0"], "is not PATH=HOST"),
        (["--device", "home/cellar=a"], "has no agent home/cellar"),
        (["--device", "home/tank=a", "--device", "home/tank=b"], "is given twice"),
        (["--device", "home/tank=a", "--key", "home/tank"], "is not PATH=FILE"),
        (["--device", "home/tank=a", "--key", "home/tank=key"], "holds no key"),
        (["--device", "home/tank=a", "--key", "home/x=good"], "is no --device"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    (tmp_path / "home.yaml").write_text(MATRIX)
    for name, text in (("key", "short"), ("good", "A" * 43 + "=")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    assert main.main(["bridge", "esphome", "home.yaml", *words, "--broker", "mqtt://127.0.0.1:1"]) == 2
    assert what in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", KEY])
def test_a_device_that_esphome_itself_has_built(mosquitto: BrokerProcess, bus: Listener, tmp_path: Path, key: str) -> None:
    """A real ESPHome for this machine, in plain text and encrypted."""
    if not ESPHOME.is_file():
        pytest.skip(f"ESPHome is not in {ESPHOME.parent.parent}: run .ci/esphome, which needs Python 3.12 or newer")
    encryption = f"  encryption: {{key: '{key}'}}\n" if key else ""
    (tmp_path / "dev.yaml").write_text(
        f"esphome: {{name: dev}}\nhost: {{}}\nlogger: {{level: NONE}}\napi:\n  port: 0\n{encryption}".replace("  port: 0\n", "")
        + "sensor: [{platform: template, name: level, lambda: 'return 4.5;', update_interval: 1s}]\n"
        + "switch: [{platform: template, name: pump, optimistic: true}]\n"
    )
    built = subprocess.run([str(ESPHOME), "compile", "dev.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    if built.returncode and key:
        pytest.skip("ESPHome gets its encryption, noise-c and libsodium, from PlatformIO's registry, which cannot be reached")
    assert built.returncode == 0, built.stdout[-2_000:]
    (tmp_path / "home.yaml").write_text(MATRIX)
    (tmp_path / "key").write_text(key)
    (tmp_path / "key").chmod(0o600)
    words = ["bridge", "esphome", "home.yaml", "--device", "home/tank=127.0.0.1", "--broker", mosquitto.url]
    words += ["--key", "home/tank=key"] if key else []
    program = subprocess.Popen([str(next(tmp_path.glob(".esphome/build/dev/.pioenvs/dev/program")))], cwd=tmp_path)
    bridge = subprocess.Popen([sys.executable, "-m", "edgematrix", *words], cwd=tmp_path)
    try:
        assert bus.wait_for(f"{OUT}/level") == b"4.5"
        bus.publish(f"{IN}/set_pump", event(True, 1))
        assert bus.wait_for(f"{OUT}/pump", lambda payload: payload == b"true")
        program.kill()
        bus.wait_for(STATE, is_status("offline"))
    finally:
        for process in (program, bridge):
            process.kill()
            process.wait()
