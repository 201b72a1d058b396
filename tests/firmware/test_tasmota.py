"""`edgematrix firmware tasmota`: what it writes, beside what Home Assistant's own reader of Tasmota makes of such a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hatasmota import const
from hatasmota.utils import (
    config_get_state_offline,
    config_get_state_online,
    get_topic_command,
    get_topic_tele_sensor,
    get_topic_tele_state,
    get_topic_tele_will,
)

from edgematrix.cli import main
from edgematrix.config.opening import open_matrix

MATRIX = """
matrix: home
agents:
  shed:
    agents:
      lamp:
        device:
          reads: {power: {topic: tele/home/shed/lamp/STATE, value: POWER, as: bool}}
          writes: {set: {topic: cmnd/home/shed/lamp/POWER}}
      old: {device: {reads: {power: {topic: sonoff/tele/STATE, value: POWER}}, availability: {topic: sonoff/tele/LWT, online: Online}}}
      bulb: {device: {writes: {set: {topic: zigbee2mqtt/bulb/set}}}}
      both: {device: {writes: {a: {topic: cmnd/a/POWER}, b: {topic: cmnd/b/POWER}}}}
      tank: {host: tank, inputs: {pump: boolean}}
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "home.yaml").write_text(MATRIX)

    def run(*words: str) -> tuple[int, str, str]:
        code = main.main(["firmware", "tasmota", *words, "--matrix", "home.yaml"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def settings_of(line: str) -> dict[str, str]:
    """What a device's console would do with the line."""
    assert line.startswith("Backlog ")
    steps = line.removeprefix("Backlog ").split("; ")
    assert len(steps) <= 30, "a Backlog has at most 30 commands"
    return dict(step.split(" ") for step in steps)


def announced(settings: dict[str, str]) -> dict[str, object]:
    """What such a device would tell of itself, were its discovery on."""
    prefixes = [settings[f"Prefix{number}"] for number in (1, 2, 3)]
    topics = {const.CONF_FULLTOPIC: settings["FullTopic"], const.CONF_TOPIC: settings["Topic"], const.CONF_PREFIX: prefixes}
    return topics | {const.CONF_HOSTNAME: "h", const.CONF_MAC: "AABBCC", "ofln": "Offline", "onln": "Online"}


def test_a_device_that_is_to_be_is_printed_to_paste(call: Call) -> None:
    code, said, _ = call("home/shed/plug", "--broker", "mqtt://plug:secret@192.168.1.10", "--relays", "2", "--sensor", "AM2301.Temperature")
    assert code == 0
    line, _, rest = said.partition("\n")
    settings = settings_of(line)
    assert settings["MqttPassword"] == "PASSWORD"
    assert "secret" not in said
    assert settings["SetOption19"] == "1"
    pasted = yaml.safe_load(rest.partition("# and where")[0])
    device = pasted["plug"]["device"]
    config = announced(settings)
    assert device["availability"] == {"topic": get_topic_tele_will(config), "online": config_get_state_online(config)}
    assert config_get_state_offline(config) == "Offline"
    assert {device["reads"][name]["topic"] for name in ("power1", "power2")} == {get_topic_tele_state(config)}
    assert device["reads"]["am2301_temperature"]["topic"] == get_topic_tele_sensor(config)
    assert [device["writes"][f"set{n}"]["topic"] for n in (1, 2)] == [f"{get_topic_command(config)}POWER{n}" for n in (1, 2)]
    Path("more.yaml").write_text(yaml.safe_dump({"matrix": "home", "agents": pasted}))
    assert not open_matrix(Path("more.yaml")).warnings


@pytest.mark.parametrize(
    ("name", "full", "topic"), [("lamp", "%prefix%/home/shed/%topic%/", "lamp"), ("old", "%topic%/%prefix%/", "sonoff")]
)
def test_a_device_of_the_matrix_is_brought_to_its_topics(call: Call, name: str, full: str, topic: str) -> None:
    code, said, _ = call(f"home/shed/{name}", "--broker", "mqtt://192.168.1.10")
    assert code == 0
    settings = settings_of(said.strip())
    assert (settings["FullTopic"], settings["Topic"]) == (full, topic)
    device = yaml.safe_load(MATRIX)["agents"]["shed"]["agents"][name]["device"]
    assert device["reads"]["power"]["topic"] == get_topic_tele_state(announced(settings))


def test_a_client_of_the_access_list_gets_its_password_in_a_file(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    clients = 'access: {clients: {lamp: {publishes: ["stat/home/shed/lamp/#", "tele/home/shed/lamp/#"], reads: ["cmnd/home/shed/lamp/#"]}}}'
    Path("home.yaml").write_text(MATRIX + clients)
    assert main.main(["provision", "home.yaml", "--out", "access", "--server", "broker.lan"]) == 0
    capsys.readouterr()
    code, said, warned = call("home/shed/lamp", "--access", "access", "--client", "lamp", "--out", "lamp.txt")
    assert code == 0
    assert "Backlog" not in said
    assert "TLS" in warned
    settings = settings_of(Path("lamp.txt").read_text().strip())
    assert (settings["MqttHost"], settings["MqttUser"], settings["SetOption103"]) == ("broker.lan", "lamp", "1")
    assert len(settings["MqttPassword"]) > 10
    assert Path("lamp.txt").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["home/shed/bulb"], "is no topic of Tasmota's"),
        (["home/shed/both"], "are topics of two devices"),
        (["home/shed/tank"], "Tasmota reads no events"),
        (["office/lamp"], "is no path in the matrix home"),
        (["Home"], "does not match"),
        (["home/x", "--relays", "99"], "0 to 28 relays"),
        (["home/x", "--sensor", "Temperature"], "is no sensor with its field"),
        (["home/" + "x" * 40], "too long for Tasmota"),
        (["home/x", "--client", "lamp"], "belong together"),
        (["home/x", "--access", "a", "--client", "lamp"], "has no identity there"),
    ],
)
def test_what_cannot_be_is_told(call: Call, words: list[str], what: str) -> None:
    broker = [] if "--access" in words else ["--broker", "mqtt://b"]
    code, _, told = call(*words, *broker)
    assert code == 2
    assert what in told


def test_of_several_brokers_it_knows_one_and_that_is_said(call: Call) -> None:
    code, said, warned = call("home/shed/lamp", "--broker", "mqtt://one.lan,two.lan")
    assert code == 0
    assert "MqttHost one.lan;" in said
    assert "Tasmota knows one broker: the device goes to mqtt://one.lan:1883, and to none else" in warned


def test_a_password_that_would_end_a_command_is_refused(call: Call) -> None:
    code, _, told = call("home/shed/lamp", "--broker", "mqtt://u:a%3Bb@host", "--out", "x.txt")
    assert code == 2
    assert "semicolon" in told
    assert "a;b" not in told
