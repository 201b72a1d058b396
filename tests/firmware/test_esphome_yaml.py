"""`edgematrix firmware esphome`: what it writes, and what ESPHome itself says of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from edgematrix.cli import main

ESPHOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgematrix/esphome/bin/esphome"
MATRIX = """
matrix: home
agents:
  shed:
    agents:
      tank:
        host: tank
        inputs: {pump: boolean, speed: {type: number, minimum: 0, maximum: 10}, say: text, show: object, count: integer}
        outputs: {level: {type: number, retain: true, qos: 1}, full: boolean, mood: text, whole: integer, all: object}
  rule: {triggers: {t: {on: {level: {from: shed/tank.level, above: 5}}, do: [{send: {to: shed/tank.pump, payload: false}}]}}}
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "home.yaml").write_text(MATRIX)

    def run(*words: str) -> tuple[int, str, str]:
        code = main.main(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def esphome(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    if not ESPHOME.is_file():
        pytest.skip(f"ESPHome is not in {ESPHOME.parent.parent}: run .ci/esphome, which needs Python 3.12 or newer")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(ESPHOME), *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    return run


def tank(call: Call, *words: str) -> tuple[int, str, str]:
    return call("firmware", "esphome", "home/shed/tank", "--matrix", "home.yaml", *words)


@pytest.mark.parametrize("chip", ["esp32", "esp8266"])
def test_esphome_takes_what_is_written(call: Call, esphome: Callable[..., subprocess.CompletedProcess[str]], chip: str) -> None:
    assert tank(call, "--broker", "mqtt://tank:secret@192.168.1.10", "--chip", chip, "--out", "tank.yaml")[0] == 0
    done = esphome("config", "tank.yaml")
    assert done.returncode == 0, done.stdout[:2_000]
    found = yaml.load(done.stdout, _Loader)  # noqa: S506 - a safe loader with ESPHome's tags
    mqtt = found["mqtt"][0] if isinstance(found["mqtt"], list) else found["mqtt"]
    assert {message["topic"] for message in mqtt["on_message"]} == {
        f"em/in/home/shed/tank/{p}" for p in ("pump", "speed", "say", "show", "count")
    }
    assert mqtt["discovery"] is False
    assert not mqtt["topic_prefix"]
    for key, status in (("birth_message", "ready"), ("will_message", "offline"), ("shutdown_message", "offline")):
        assert mqtt[key]["topic"] == "em/state/home/shed/tank"
        assert mqtt[key]["retain"] is True
        state = yaml.safe_load(mqtt[key]["payload"])
        assert (state["v"], state["status"], state["host"], state["since"]) == (1, status, "home:shed:tank", None)


def test_esphome_takes_an_identity_of_the_access_folder(call: Call, esphome: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert (
        call("provision", "home.yaml", "--out", "access", "--server", "broker.lan", "--tls", "1.2", "--certificate", "home.shed.tank")[0]
        == 0
    )
    code, said, warned = tank(call, "--access", "access", "--out", "tank.yaml")
    assert code == 0
    assert "fill in wifi_ssid" in said
    assert "TLS is 1.2" in warned
    package = Path("tank.edgematrix.yaml").read_text(encoding="utf-8")
    secrets = Path("secrets.yaml")
    assert "PRIVATE KEY" not in package
    assert "PRIVATE KEY" in secrets.read_text(encoding="utf-8")
    assert secrets.stat().st_mode & 0o077 == 0
    assert "!secret shed_tank_mqtt_ca" in package
    done = esphome("config", "tank.yaml")
    assert done.returncode == 0, done.stdout[:2_000]


def test_what_is_the_users_stays(call: Call) -> None:
    Path("secrets.yaml").write_text("# mine\nwifi_ssid: there\nshed_tank_mqtt_password: 'old'\nother: !x y\n")
    broker = ("--broker", "mqtt://tank:one@192.168.1.10")
    assert tank(call, *broker, "--out", "tank.yaml")[0] == 0
    Path("tank.yaml").write_text("# changed\n")
    assert tank(call, "--broker", "mqtt://tank:two@192.168.1.10", "--out", "tank.yaml")[0] == 0
    assert Path("tank.yaml").read_text() == "# changed\n"
    lines = Path("secrets.yaml").read_text().splitlines()
    assert lines[:4] == ["# mine", "wifi_ssid: there", 'shed_tank_mqtt_password: "two"', "other: !x y"]
    assert lines.count('wifi_ssid: "fill in"') == 0
    assert 'wifi_password: "fill in yours"' in lines


def test_of_several_brokers_it_knows_one_and_that_is_said(call: Call) -> None:
    code, said, warned = tank(call, "--broker", "mqtt://one.lan,two.lan")
    assert code == 0
    assert "one.lan" in said
    assert "two.lan" not in said
    assert "ESPHome knows one broker: the device goes to mqtt://one.lan:1883, and to none else" in warned


def test_without_a_file_it_is_printed_whole(call: Call) -> None:
    code, said, told = tank(call, "--broker", "mqtt://127.0.0.1")
    assert code == 0
    assert "script:" in said
    assert "!include" not in said
    assert "is the device itself" in told
    assert not Path("secrets.yaml").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["home/shed/tank"], "has no address before it runs"),
        (["home/shed/tank", "--broker", "mqtts://b", "--chip", "esp8266"], "no TLS"),
        (["home/shed/tank", "--broker", "mqtts://b"], "names no certificate authority"),
        (["home/shed/tank", "--broker", "mqtt://b", "--chip", "z80"], "there is no chip"),
        (["home/shed/tank", "--broker", "mqtt://b", "--access", "access"], "each device's own address"),
        (["home/shed/tank", "--access", "access"], "has no identity there"),
        (["home/shed/tank", "--broker", "mqtt://b", "--out", "nowhere/tank.yaml"], "cannot be written"),
        (["home/rule", "--broker", "mqtt://b"], "is no device of its own"),
        (["home/cellar", "--broker", "mqtt://b"], "has no agent home/cellar"),
        (["Home", "--broker", "mqtt://b"], "does not match"),
    ],
)
def test_what_cannot_be_is_told(call: Call, words: list[str], what: str) -> None:
    code, _, told = call("firmware", "esphome", *words, "--matrix", "home.yaml")
    assert code == 2
    assert what in told


def test_what_an_esphome_device_cannot_do_is_told(call: Call) -> None:
    agents = "{tank: {host: t, delivery: durable, inputs: {a: any}}, bare: {host: b}, two: {host: c, inputs: {a-b: any, a_b: any}}}"
    Path("home.yaml").write_text(f"matrix: home\nagents: {agents}")
    for name, what in (("tank", "delivery: durable"), ("bare", "no ports"), ("two", "one name in ESPHome")):
        code, _, told = call("firmware", "esphome", f"home/{name}", "--matrix", "home.yaml", "--broker", "mqtt://b")
        assert code == 2
        assert what in told


EVENT = '{"specversion":"1.0","id":"1","source":"/home","type":"em.in","data":true}'
STEPS = [
    ("pump", "true"), ("pump", EVENT), ("pump", EVENT), ("pump", "7"), ("speed", "11"), ("speed", "2.5"), ("say", "hello"), ("show", "[]"),
    ("count", "3"),
]  # fmt: skip
SAID = [
    "pump = true",
    "pump = true",
    'em/ack/home/shed/tank {"id": "1"} 0 0',
    'em/ack/home/shed/tank {"id": "1"} 0 0',
    "speed = 2.5",
    "say = hello",
    "count = 3",
    "em/out/home/shed/tank/level 21.5 1 1",
    "em/out/home/shed/tank/full true 0 0",
    'em/out/home/shed/tank/mood "5" 0 0',
]


@pytest.mark.slow
def test_a_device_that_esphome_builds_judges_commands(
    call: Call, esphome: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The package built for this machine: MQTT, which ESPHome has on chips alone, is taken out, and what would be published is printed."""
    assert tank(call, "--broker", "mqtt://192.168.1.10", "--out", "tank.yaml")[0] == 0
    package = Path("tank.edgematrix.yaml").read_text(encoding="utf-8")
    package = re.sub(r"(?ms)^mqtt:\n.*?(?=^\S)", "", package)
    printed = '      - lambda: printf("%s %s %d %d\\n", topic.c_str(), payload.c_str(), qos, retain);\n'
    package = re.sub(r"(?ms)^      - mqtt\.publish:\n.*?(?=^  - id)", lambda _: printed, package)
    Path("tank.edgematrix.yaml").write_text(package)
    actuators = "".join(
        f"  - id: on_{port}\n    mode: parallel\n    parameters: {{value: {kind}}}\n    then:\n"
        f'      - lambda: printf("{port} = %s\\n", edgematrix::payload(value).c_str());\n'
        for port, kind in (("pump", "bool"), ("speed", "float"), ("say", "string"), ("show", "string"), ("count", "int"))
    )
    lines = "".join(f"          id(em_in_{port})->execute({json.dumps(payload)});\n" for port, payload in STEPS)
    emits = '          id(emit_level)->execute(21.5f); id(emit_full)->execute(true); id(emit_mood)->execute("5"); fflush(stdout);\n'
    Path("desk.yaml").write_text(
        "packages:\n  edgematrix: !include tank.edgematrix.yaml\nesphome:\n  name: desk\n  on_boot:\n    priority: -100\n    then:\n"
        f"      - lambda: |-\n{lines}{emits}host: {{}}\nlogger: {{level: NONE}}\nscript:\n{actuators}"
    )
    done = esphome("compile", "desk.yaml")
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    program = next(tmp_path.glob(".esphome/build/desk/.pioenvs/desk/program"))
    with pytest.raises(subprocess.TimeoutExpired) as ended:
        subprocess.run([str(program)], capture_output=True, timeout=3, check=False)
    assert (ended.value.stdout or b"").decode().splitlines() == SAID


class _Loader(yaml.SafeLoader):
    """Takes ESPHome's tags for the values that they mark."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None)
