"""`edgematrix record` and `edgematrix replay`: what was heard is said again, whole, in order, at the wanted pace."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import CALM, SOON_S, WAIT_S, Ear, Running, call, no_traceback
from free_port import free_port
from running_project import running_project

Start = Callable[..., Running]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mosquitto: BrokerProcess) -> Iterator[Path]:
    """A project that runs."""
    with running_project(tmp_path_factory.mktemp("recorded"), mosquitto.url, "shed") as folder:
        yield folder


@pytest.fixture
def ear(mosquitto: BrokerProcess) -> Iterator[Ear]:
    found = Ear(mosquitto.port, "#")
    yield found
    found.close()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def recording(path: Path, *messages: tuple[float, str, object]) -> Path:
    path.write_text("".join(json.dumps({"at": at, "topic": topic, "payload": payload}) + "\n" for at, topic, payload in messages))
    return path


# record


def test_what_the_matrix_listens_to_is_recorded_and_nothing_else(home: Path, ear: Ear, start: Start):
    recorder = start("record", "--out", "evening.jsonl.new", cwd=home)
    recorder.wait_for("recording zigbee2mqtt/hall_motion, zigbee2mqtt/hall_lux to evening.jsonl.new; Ctrl-C ends")
    out = home / "evening.jsonl.new"

    def begun() -> bool:
        ear.say("zigbee2mqtt/hall_lux", '{"illuminance": 40}')
        return out.stat().st_size > 0

    recorder.wait_until(begun, "nothing is recorded")
    for topic, payload in (("zigbee2mqtt/other", "1"), ("zigbee2mqtt/hall_motion", "ON"), ("em/in/home/helper/say", "hello")):
        ear.say(topic, payload)
    ear.say("zigbee2mqtt/hall_lux", '"40"')
    recorder.wait_until(lambda: b'"\\"40\\""' in out.read_bytes() or b'"40"' in out.read_bytes(), "the last is not recorded")
    assert recorder.stop() < SOON_S
    assert recorder.process.returncode == 0

    found = lines(out)
    assert [row["payload"] for row in found if row["payload"] != {"illuminance": 40}] == ["ON", "40"]
    assert {row["topic"] for row in found} == {"zigbee2mqtt/hall_lux", "zigbee2mqtt/hall_motion"}
    assert found[-1] == {"at": found[-1]["at"], "topic": "zigbee2mqtt/hall_lux", "payload": "40", "retain": False, "qos": 1}
    moments = [float(str(row["at"])) for row in found]
    assert moments == sorted(moments)
    assert f"✓ {len(found)} messages on 2 topics in " in recorder.printed


def test_filters_flags_and_a_count_on_standard_output(mosquitto: BrokerProcess, ear: Ear, tmp_path: Path):
    ear.say("rec/kept", "\x00\xff", retain=True)

    done = call("record", "rec/#", "rec/+", "--count", "1", "--url", mosquitto.url, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["topic"], row["payload"], row["retain"], row["qos"]) == ("rec/kept", "\x00\xff", True, 1)
    assert row["at"] < WAIT_S, "from when it began"
    ear.say("rec/kept", "", retain=True)


def test_a_file_that_is_there_is_not_written_over(mosquitto: BrokerProcess, ear: Ear, tmp_path: Path):
    out = tmp_path / "a.jsonl"
    out.write_text("precious\n")
    words = ["record", "rec2/#", "--out", out, "--count", "1"]

    done = call(*words, "--url", mosquitto.url, cwd=tmp_path)
    assert (done.returncode, out.read_text()) == (2, "precious\n")
    assert "is there already" in done.stderr

    assert call(*words, "--force", "--url", f"mqtt://127.0.0.1:{free_port()}", cwd=tmp_path).returncode == 1
    assert out.read_text() == "precious\n", "a broker that is not there costs nothing"

    ear.say("rec2/x", "1", retain=True)
    assert call(*words, "--force", "--url", mosquitto.url, cwd=tmp_path).returncode == 0
    assert [row["payload"] for row in lines(out)] == [1]
    ear.say("rec2/x", "", retain=True)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["a/#/b"], 2, "# before its end"),
        ([], 2, "no matrix runs here that tells what to record"),
        (["x", "--out", "missing/a.jsonl"], 2, "missing/a.jsonl: error: cannot be written: No such file or directory"),
        (["x", "--count", "0"], 2, "--count"),
        (["x", "--for", "soon"], 2, "expected a duration"),
        (["x", "--count", "1", "--for", "100ms"], 1, "! 0 messages on 0 topics"),
    ],
)
def test_what_cannot_be_recorded_is_told(mosquitto: BrokerProcess, tmp_path: Path, arguments: list[str], code: int, complaint: str):
    done = call("record", *arguments, "--url", mosquitto.url, cwd=tmp_path)

    assert complaint in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    no_traceback(done)


def test_nothing_that_runs_nothing_to_record(tmp_path: Path):
    done = call("record", "x", "--out", "a.jsonl", cwd=tmp_path)

    assert done.returncode == 1
    assert "nothing runs in this folder" in done.stderr
    assert not (tmp_path / "a.jsonl").exists()


def test_a_recorder_that_is_killed_leaves_whole_lines(mosquitto: BrokerProcess, ear: Ear, start: Start, tmp_path: Path):
    recorder = start("record", "burst/#", "--out", "a.jsonl", "--url", mosquitto.url, cwd=tmp_path)
    out = tmp_path / "a.jsonl"

    def begun() -> bool:
        for number in range(20):
            ear.say(f"burst/{number}", json.dumps({"number": number}))
        return out.exists() and out.stat().st_size > 0

    recorder.wait_until(begun, "nothing is recorded")
    recorder.process.send_signal(signal.SIGKILL)
    recorder.process.wait(WAIT_S)

    assert out.read_bytes().endswith(b"}\n")
    assert len(lines(out)) > 0


def test_the_reader_of_a_recording_may_go(mosquitto: BrokerProcess, ear: Ear, tmp_path: Path):
    words = [sys.executable, "-m", "edgematrix", "record", "gone/#", "--url", mosquitto.url]
    with subprocess.Popen(words, cwd=tmp_path, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "recording gone/#" in process.stderr.readline()
        process.stdout.close()
        until = time.monotonic() + WAIT_S
        while process.poll() is None:
            assert time.monotonic() < until
            ear.say("gone/x", "1")
        assert "Traceback" not in process.stderr.read()


# replay


def test_what_was_recorded_comes_again(mosquitto: BrokerProcess, start: Start, tmp_path: Path):
    source = tmp_path / "source.jsonl"
    rows = [
        {"at": 0, "topic": "again/a", "payload": "21", "retain": False, "qos": 1},
        {"at": 0.1, "topic": "again/b", "payload": {"x": [1, None]}, "retain": False, "qos": 0},
        {"at": 0.2, "topic": "again/a", "payload_base64": "/wA=", "retain": False, "qos": 1},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorder = start("record", "again/#", "--out", "copy.jsonl", "--url", mosquitto.url, cwd=tmp_path)
    copy = tmp_path / "copy.jsonl"
    ear = Ear(mosquitto.port, "again/#")

    def begun() -> bool:
        if copy.exists() and not copy.stat().st_size:
            ear.say("again/first", "0")
        return copy.exists() and copy.stat().st_size > 0

    recorder.wait_until(begun, "nothing is recorded")
    done = call("replay", source, "--speed", "2", "--url", mosquitto.url, cwd=tmp_path)
    recorder.wait_until(lambda: b"/wA=" in copy.read_bytes(), "the last is not recorded")
    recorder.stop()
    ear.close()

    assert (done.returncode, done.stdout[:26]) == (0, "played 3 messages, 0 lost,")
    found = [row for row in lines(copy) if row["topic"] != "again/first"]
    assert [{**row, "at": 0} for row in found] == [{**row, "at": 0} for row in rows]
    moments = [float(str(row["at"])) for row in found]
    assert 0.08 < moments[-1] - moments[0] < WAIT_S


def test_a_part_as_fast_as_it_goes_to_the_run_in_this_folder(home: Path, ear: Ear):
    day = recording(home / "day.jsonl", *[(hour * 3600, "part/hour", hour) for hour in range(24)])

    done = call("replay", day, "--fast", "--from", "6h", "--until", "8h", cwd=home)

    assert (done.returncode, done.stdout) == (0, "played 3 messages, 0 lost\n")
    assert [ear.wait_for(lambda topic, _: topic == "part/hour")[1] for _ in range(3)] == [b"6", b"7", b"8"]
    assert "day.jsonl to mqtt://127.0.0.1:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["good.jsonl", "--speed", "0"], 2, "expected a number above 0, or max, found '0'"),
        (["good.jsonl", "--speed", "nan"], 2, "expected a number above 0, or max, found 'nan'"),
        (["good.jsonl", "--speed", "quick"], 2, "expected a number above 0, or max, found 'quick'"),
        (["good.jsonl", "--speed", "2", "--fast"], 2, "two ways to say how fast"),
        (["good.jsonl", "--from", "2h", "--until", "1h"], 2, "it ends at 1h, before it begins"),
        (["good.jsonl", "--from", "dawn"], 2, "expected a duration"),
        (["missing.jsonl"], 2, "missing.jsonl: error: the recording cannot be read: No such file or directory"),
        (["good.jsonl"], 1, "nothing runs in this folder"),
        (["good.jsonl", "--url", "mqtt://127.0.0.1:1"], 1, "the broker does not answer"),
        (["good.jsonl", "--url", "http://x"], 2, "not mqtt or mqtts"),
        (["broken.jsonl", "--url", "mqtt://127.0.0.1:1"], 1, "broken.jsonl:2:"),
        (["back.jsonl", "--url", "mqtt://127.0.0.1:1"], 1, "back.jsonl:2: error: at: time goes back, from 5s to 4s"),
    ],
)
def test_what_cannot_be_played_is_told_and_nothing_is_played(tmp_path: Path, arguments: list[str], code: int, complaint: str):
    recording(tmp_path / "good.jsonl", (0, "t", 1))
    recording(tmp_path / "back.jsonl", (5, "t", 1), (4, "t", 1))
    (tmp_path / "broken.jsonl").write_text('{"at": 0, "topic": "t", "payload": 1}\n{"at": 1, "topic"\n')

    done = call("replay", *arguments, cwd=tmp_path)

    assert complaint in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    no_traceback(done)


def test_a_broken_line_far_down_plays_nothing(mosquitto: BrokerProcess, tmp_path: Path):
    path = recording(tmp_path / "a.jsonl", *[(0, "far/t", n) for n in range(100)])
    with path.open("a") as file:
        file.write('{"at": 0, "topic": "far/+", "payload": 1}\n')
    ear = Ear(mosquitto.port, "far/#")

    done = call("replay", path, "--fast", "--url", mosquitto.url, cwd=tmp_path)

    assert done.returncode == 1
    assert "a.jsonl:101: error: topic: " in done.stderr
    ear.say("far/end", "")
    assert ear.wait_for(lambda *_: True)[0] == "far/end", "the first that is heard"
    ear.close()


def test_ctrl_c_ends_a_replay_and_says_how_far_it_came(mosquitto: BrokerProcess, start: Start, tmp_path: Path):
    recording(tmp_path / "a.jsonl", (0, "slow/t", 1), (3600, "slow/t", 2))
    ear = Ear(mosquitto.port, "slow/t")
    replay = start("replay", "a.jsonl", "--url", mosquitto.url, cwd=tmp_path)
    ear.wait_for(lambda *_: True)

    assert replay.stop() < SOON_S

    assert replay.process.returncode == 130
    assert "played 1 messages, 0 lost" in replay.printed
    assert "stopped" in replay.printed
    assert "Traceback" not in replay.printed
    ear.close()
