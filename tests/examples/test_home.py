"""The example house: it is without findings, and its day comes out as a householder would want."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgematrix.cli.cast import play_beside
from edgematrix.config.code_loader import load_file
from edgematrix.config.opening import open_matrix
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.moment import parse_moment
from edgematrix.testing.recording import Recorded, format_line, read_recording
from edgematrix.testing.simulator import Seen, Simulation

HOME = Path(__file__).parents[2] / "examples" / "home"
DAY = HOME / "day.jsonl"
REPORT = (
    "Washing 0.85 kWh. Living room 19.1-20.7 °C. Study 1136 ppm. Window 2x. Door 1 of 2. "
    "See to bath offline, battery of living_window 14 %."
)
START_US = parse_moment("2015-02-05T00:00:00Z")


def local(at_us: int) -> str:
    """The time of day in the house, one hour before UTC."""
    minutes = at_us // SECOND_US // 60 + 60
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def play(*watch: str) -> list[Seen]:
    opened = open_matrix(HOME / "home.yaml")
    recorded = list(read_recording(DAY))
    return list(Simulation(opened.spec, loader=opened.loader, start_us=START_US, watch=watch).play(recorded, recorded[-1].at_us))


@pytest.fixture(scope="module")
def day() -> list[Seen]:
    return play()


def told(day: list[Seen], topic: str) -> list[tuple[str, object]]:
    return [(local(seen.at_us), seen.payload) for seen in day if seen.topic == topic]


def test_nothing_is_wrong_or_looks_wrong() -> None:
    assert open_matrix(HOME / "home.yaml").warnings == []


def test_the_day_is_in_order_and_small() -> None:
    recorded = list(read_recording(DAY))
    assert len(recorded) > 1_000
    assert recorded[-1].at_us < 86_400 * SECOND_US
    assert DAY.stat().st_size < 300_000
    assert set(DAY.read_text().splitlines()) == {format_line(message) for message in recorded}


def test_the_heating_follows_cold_window_and_hours(day: list[Seen]) -> None:
    expected = [
        ("06:00", "ON"),  # cold, and allowed from now on
        ("08:00", "OFF"),  # the window is opened
        ("08:18", "ON"),
        ("12:47", "OFF"),  # the sun has warmed the room
        ("19:11", "ON"),
        ("19:30", "OFF"),  # the window again
        ("19:35", "ON"),
        ("22:30", "OFF"),  # night
    ]
    assert told(day, "cmnd/living_heater/POWER") == expected


def test_the_study_is_aired_while_somebody_breathes_in_it(day: list[Seen]) -> None:
    assert told(day, "study/switch/vent/command") == [("09:35", "ON"), ("14:06", "OFF"), ("14:55", "ON"), ("18:23", "OFF")]


def test_the_bath_is_aired_after_each_shower(day: list[Seen]) -> None:
    assert told(day, "bath/switch/fan/command") == [("06:55", "ON"), ("07:35", "OFF"), ("22:10", "ON"), ("22:45", "OFF")]


def test_the_phone_is_told_what_matters_and_no_more(day: list[Seen]) -> None:
    assert told(day, "notify/phone") == [
        ("08:10", "The living room's window is open, and it is 19.2 °C"),
        ("10:40", "The washing is done"),
        ("15:10", "bath has been offline for 10 minutes"),
        ("19:30", "The battery of living_window is at 14 %"),
        ("21:45", REPORT),
    ]


def test_the_report_is_good_in_brief_and_stays_for_whoever_asks_later() -> None:
    (found,) = play("em/out/home/report/summary")
    assert (local(found.at_us), found.retain) == ("21:45", True)
    assert found.payload == {"verdict": "good", "text": REPORT, "form": "brief", "drafts": 2, "too_long_by": 0, "missing": []}


def test_the_report_has_no_more_than_the_phone_takes() -> None:
    assert load_file("report", HOME / "report.py").CHARACTERS_MAX == 200
    assert "maxLength: 200" in (HOME / "home.yaml").read_text()


def test_the_council_warms_the_study_while_somebody_works_there(day: list[Seen]) -> None:
    assert told(day, "study/climate/radiator/target_temperature/command") == [
        ("01:22", 17),  # nobody is there
        ("07:43", 21),
        ("09:35", 20),  # the vent blows: both have given way
        ("13:34", 20),  # back from lunch
        ("14:06", 21),
        ("14:55", 20),
        ("18:23", 17),
        ("18:27", 17),
    ]


def test_the_front_door_is_unlocked_for_whom_somebody_let_in(day: list[Seen]) -> None:
    asked = [(at, about["question"]) for at, about in told(day, "notify/phone/question") if isinstance(about, dict) and "question" in about]
    assert asked == [("17:40", "Unlock the front door for the plumber?"), ("20:50", "Unlock the front door for the neighbour?")]
    assert told(day, "zigbee2mqtt/front_door/set") == [("17:42", "UNLOCK")]
    (first, second) = play("em/out/home/front_door/answer")
    assert (local(first.at_us), first.payload) == ("17:42", {"answer": "yes", "by": "notify/phone/answer#ada", "default": False})
    assert (local(second.at_us), second.payload) == ("20:55", {"answer": "no", "by": "", "default": True})


def test_the_porch_is_lit_from_dusk_to_bedtime(day: list[Seen]) -> None:
    assert told(day, "cmnd/porch/POWER") == [("17:53", "ON"), ("22:20", "OFF")]


def test_the_hall_is_lit_only_in_the_dark_and_dimmed_at_night(day: list[Seen]) -> None:
    lit = [
        (at, payload) for at, payload in told(day, "zigbee2mqtt/hall_lamp/set") if isinstance(payload, dict) and payload["state"] == "ON"
    ]
    assert not [at for at, _ in lit if "08:47" < at < "16:30"], "by day the hall is bright enough"
    assert [at for at, payload in lit if payload == {"state": "ON", "brightness": 30}] == ["23:50", "00:30"]
    assert ("20:15", {"state": "ON"}) in lit, "somebody asked for it"
    last = max(index for index, seen in enumerate(day) if seen.topic == "zigbee2mqtt/hall_lamp/set")
    assert day[last].payload == {"state": "OFF"}


def test_the_same_day_comes_out_the_same(day: list[Seen]) -> None:
    assert play() == day


def test_the_boards_beside_the_day_are_there() -> None:
    (board,) = play_beside(DAY).boards
    assert (board.path, board.program) == ("home/greenhouse/board", HOME / "devices" / "greenhouse.py")


def test_every_topic_of_the_day_is_accounted_for() -> None:
    """RECORDINGS.md says of each what is real about it."""
    listed = re.findall(r"`([^`\s]+/[^`\s]+)`", (HOME / "RECORDINGS.md").read_text().split("## What is recorded")[1])
    patterns = [re.compile(re.escape(text).replace(r"\*", "[^/]+").replace("…", ".+")) for text in listed]
    for topic in {message.topic for message in read_recording(DAY)}:
        assert any(pattern.fullmatch(topic) for pattern in patterns), topic


# How the day is made


@pytest.fixture
def maker() -> ModuleType:
    return load_file("make_day", HOME / "make_day.py")


def log_of(day: list[Recorded]) -> str:
    """The rows of the room's log that can be read back from the day: Thursday's."""
    rows: dict[int, dict[str, object]] = {}
    for message in day:
        if message.topic.startswith("study/sensor/"):
            rows.setdefault(message.at_us, {})[message.topic.split("/")[2]] = message.payload
    lines = ["time,V1,V2,V3,V4"]
    for at_us, row in rows.items():
        minutes, seconds = divmod(at_us // SECOND_US + 3_600, 60)
        date = f"2015-02-{5 + minutes // 1440:02} {minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}"
        lines.append(f"{date},{row['temperature']},{row['humidity']},{row['illuminance']},{row['co2']}")
    return "\n".join(lines) + "\n"


def test_the_recorded_part_is_what_the_log_says(maker: ModuleType) -> None:
    recorded = list(read_recording(DAY))
    study = [message for message in recorded if message.topic.startswith("study/sensor/")]
    assert list(maker.study(log_of(recorded))) == study
    assert len(study) == 4 * 90


def test_the_made_up_part_is_made_again(maker: ModuleType) -> None:
    made = [*maker.beginning(), *maker.living_window(), *maker.people()]
    recorded = list(read_recording(DAY))
    assert all(message in recorded for message in made)


def test_another_log_is_refused(maker: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "river.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(maker.MEMBER, "time,V1,V2,V3,V4\n")
    with pytest.raises(SystemExit, match="is not the one that this day was made of"):
        maker.read_log(wheel)


def test_lines_are_json_that_anyone_can_read() -> None:
    for line in DAY.read_text().splitlines()[:50]:
        assert set(json.loads(line)) == {"at", "topic", "payload", "retain", "qos"}


def test_a_thermometer_that_is_six_degrees_off_is_noticed_and_one_that_is_right_is_not(day: list[Seen]) -> None:
    question = "Is the thermometer in the study broken?"
    assert question not in [text for _, text in told(day, "notify/phone")]
    opened = open_matrix(HOME / "home.yaml")
    recorded = [
        replace(one, payload=float(str(one.payload)) + 6)
        if one.topic == "study/sensor/temperature/state" and local(one.at_us) > "09:20"
        else one
        for one in read_recording(DAY)
    ]
    simulation = Simulation(opened.spec, loader=opened.loader, start_us=START_US)
    noticed = told(list(simulation.play(recorded, recorded[-1].at_us)), "notify/phone")
    assert [moment for moment, text in noticed if text == question] == ["10:35"], "an hour after it was sure"
