"""`edgematrix send`, `watch` and `doctor` beside a running matrix."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import SOON_S, Ear, Running, call, check_ends_with_its_reader, no_traceback, wait_for_port
from free_port import free_port
from running_project import running_project

Start = Callable[..., Running]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    """A project that runs on a broker which hears nothing else of a matrix."""
    with running_project(tmp_path_factory.mktemp("home"), mosquitto.url, "pi") as folder:
        yield folder


@pytest.fixture
def ear(mosquitto: BrokerProcess) -> Iterator[Ear]:
    found = Ear(mosquitto.port, "zigbee2mqtt/#")
    yield found
    found.close()


# send


def test_a_sentence_reaches_the_lamp_and_is_answered(home: Path, ear: Ear):
    done = call("send", "home/helper.say", "turn on the light in the hall", cwd=home)

    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        '✓ home/helper.say "turn on the light in the hall"',
        "  home/helper: The light in the hall is on.",
    ]
    assert ear.wait_for(lambda topic, _: topic == "zigbee2mqtt/hall_lamp/set")[1] == b'{"state":"ON","brightness":254}'


def test_json_is_sent_as_its_value(home: Path, ear: Ear):
    assert call("send", "home/hall/lamp.set", '{"brightness": 12}', "--wait", "0", cwd=home).returncode == 0

    ear.wait_for(lambda _, payload: payload == b'{"brightness":12}')


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["home/hall/lamp.set", '{"brightness": 300}'], 1, "✗ home/hall/lamp: `brightness` is 300"),
        (["home/hall/lamb.set", "1"], 1, "did you mean home/hall/lamp?"),
        (["home/hall/lamp.sat", "1"], 1, "did you mean 'set'?"),
        (["home/hall/lamp", '{"brightness": 300}'], 1, "✓ home/hall/lamp.set"),
        (["home/hall/lux", "1"], 1, "it has no inputs"),
        (["home/hall/lamp.", "1"], 2, "port ''"),
        (["home/Hall.set", "1"], 2, "'Hall'"),
        (["home/+.set", "1"], 2, "'+'"),
        (["elsewhere.set", "1"], 1, "no agent elsewhere is on this bus"),
        (["home/hall/lamp.set"], 2, "TEXT_OR_JSON"),
        (["home/hall/lamp.set", "1", "--url", "mqtt://127.0.0.1:1"], 1, "no broker answers"),
        (["home/hall/lamp.set", "1", "--url", "nonsense"], 2, "mqtt or mqtts"),
        (["home/hall/lamp.set", "1", "--root", "other"], 1, "no agent is online"),
    ],
)
def test_what_cannot_be_sent_is_told(home: Path, arguments: list[str], code: int, told: str):
    done = call("send", *arguments, cwd=home)

    assert told in done.stdout + done.stderr
    assert done.returncode == code
    no_traceback(done)


def test_an_agent_whose_host_is_gone_is_offline(tmp_path: Path, own_broker: Callable[..., BrokerProcess], start: Start):
    broker = own_broker("mosquitto")
    broker.start()
    assert call("init", cwd=tmp_path).returncode == 0
    running = start("run", "home.yaml", "--broker", broker.url, "--name", "pi", cwd=tmp_path)
    running.wait_for("  connected")
    ear = Ear(broker.port, "em/host/pi")
    running.kill()
    ear.wait_for(lambda _, payload: b"offline" in payload)
    ear.close()

    done = call("send", "home/helper.say", "hello", "--url", broker.url, cwd=tmp_path)

    assert done.returncode == 1
    assert "home/helper is offline: its host pi is gone" in done.stderr


# watch


def test_watch_shows_what_agents_say_decoded(home: Path, start: Start):
    watching = start("watch", cwd=home)
    watching.wait_for("state  home/helper ")

    call("send", "home/hall/lamp.set", '{"state": "OFF"}', "--wait", "0", cwd=home)

    printed = watching.wait_for("in     home/hall/lamp.set")
    line = next(line for line in printed.splitlines() if "home/hall/lamp.set" in line)
    assert line.endswith('  {"state":"OFF"}'), "the event's data, not the event"
    assert watching.stop() < SOON_S
    assert watching.process.returncode == 0


@pytest.mark.parametrize(("words", "shown"), [("home/hall", "home/hall"), ("em/state/home/hall/lamp", "home/hall/lamp")])
def test_watch_can_be_narrowed_to_a_part_of_the_tree(home: Path, words: str, shown: str):
    done = call("watch", words, "--for", "1s", cwd=home)

    lines = done.stdout.splitlines()
    assert lines
    assert all(line.split()[2].startswith(shown) for line in lines)


def test_a_path_is_shown_also_where_nobody_knows_which_matrix_is_on_the_bus(tmp_path: Path, home: Path, mosquitto: BrokerProcess):
    done = call("watch", "home/hall", "--url", mosquitto.url, "--count", "1", "--for", "10s", cwd=tmp_path)

    assert done.returncode == 0
    assert "home/hall" in done.stdout


def test_json_lines_of_foreign_topics_and_a_count(home: Path, mosquitto: BrokerProcess, ear: Ear):
    ear.say("zigbee2mqtt/test/ünï", '{"a": [1.5, null]}', retain=True)

    done = call("watch", "zigbee2mqtt/test/#", "--json", "--count", "1", cwd=home)

    assert done.returncode == 0
    seen = json.loads(done.stdout)
    assert {name: seen[name] for name in ("topic", "kind", "value", "retained")} == {
        "topic": "zigbee2mqtt/test/ünï",
        "kind": "topic",
        "value": {"a": [1.5, None]},
        "retained": True,
    }
    ear.say("zigbee2mqtt/test/ünï", "", retain=True)


def test_too_few_messages_in_the_time_is_a_failure(home: Path):
    done = call("watch", "nothing/here", "--count", "1", "--for", "200ms", cwd=home)

    assert done.returncode == 1
    assert "0 of 1 messages came" in done.stderr


def test_a_malformed_event_and_control_characters_are_shown_harmlessly(home: Path, ear: Ear):
    ear.say("em/out/other/x/y", '{"specversion": "1.0", "id": "\\u001b[2J"}', retain=True)

    done = call("watch", "em/out/other/#", "--count", "1", cwd=home)

    assert "malformed event" in done.stdout
    assert "\x1b" not in done.stdout
    ear.say("em/out/other/x/y", "", retain=True)


@pytest.mark.parametrize(("arguments", "code"), [(["a/#/b"], 2), (["a#"], 2), (["--count", "0"], 2), (["--url", "mqtt://127.0.0.1:1"], 1)])
def test_what_cannot_be_watched_is_told(home: Path, arguments: list[str], code: int):
    done = call("watch", *arguments, cwd=home)

    assert done.returncode == code
    assert "rror" in done.stderr
    no_traceback(done)


def test_watch_ends_quietly_when_its_check_ends_with_its_reader(home: Path, ear: Ear):
    check_ends_with_its_reader("watch", "em/#", "zigbee2mqtt/#", cwd=home, then=lambda: ear.say("zigbee2mqtt/test", "one more line"))


# doctor


def test_the_doctor_finds_the_run_its_broker_and_its_agents(home: Path):
    done = call("doctor", cwd=home)

    assert done.returncode == 0, done.stdout
    for words in (
        "✓ Python",
        "✓ time zones",
        "✓ run",
        "as host pi",
        "✓ broker",
        "✓ round trip",
        "✓ host",
        "pi is online",
        "✓ agents",
        "all that is needed works",
    ):
        assert words in done.stdout


def test_the_doctor_in_json(home: Path):
    told = json.loads(call("doctor", "--json", cwd=home).stdout)

    assert told["ok"] is True
    assert {probe["name"] for probe in told["probes"]} >= {"Python", "mosquitto", "nats-server", "broker", "round trip"}


def test_the_doctor_fails_where_no_broker_answers(tmp_path: Path):
    done = call("doctor", "--url", f"mqtt://127.0.0.1:{free_port()}", cwd=tmp_path)

    assert done.returncode == 1
    assert "✗ broker" in done.stdout
    assert "✗ 1 needed and not working" in done.stdout
    assert done.stderr == ""


def test_the_doctor_tells_a_broker_that_keeps_small_packets_back(tmp_path: Path):
    port = free_port()
    (tmp_path / "slow.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen(["mosquitto", "-c", str(tmp_path / "slow.conf")], stderr=subprocess.DEVNULL) as broker:
        try:
            wait_for_port(port)
            done = call("doctor", "--url", f"mqtt://127.0.0.1:{port}", cwd=tmp_path)

            assert done.returncode == 0, "it is slow, but works"
            assert "! round trip" in done.stdout
            assert "set_tcp_nodelay true" in done.stdout
        finally:
            broker.kill()


def test_the_doctor_where_nothing_runs(tmp_path: Path):
    done = call("doctor", cwd=tmp_path)

    assert done.returncode == 0
    assert "nothing runs in this folder" in done.stdout
