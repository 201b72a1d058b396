"""Makes day.jsonl: a day of an example house, out of a real recording of a room. RECORDINGS.md tells what is real.

    pip download --no-deps --dest /tmp/wheels river==0.26.1
    python examples/home/make_day.py /tmp/wheels/river-0.26.1-*.whl

The same wheel gives the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import random
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edgematrix.testing.recording import Recorded, write_recording

DAY_JSONL = Path(__file__).with_name("day.jsonl")
MEMBER = "river/drift/datasets/occupancy.csv"
SHA256 = "e8ff84747692c1da45a8f5cd73c53174d9a3604059965de6ca6d3a565a16acf1"
SECOND_US = 1_000_000
DAY_S = 86_400

UTC_OFFSET = timedelta(hours=1)
"""The log has local times of Mons in winter; the day begins at 00:00 UTC."""
THURSDAY = datetime(2015, 2, 5)  # noqa: DTZ001 - the log's times have no zone either
SATURDAY = datetime(2015, 2, 7)  # noqa: DTZ001
SUNDAY = datetime(2015, 2, 8)  # noqa: DTZ001


@dataclass(frozen=True)
class Sample:
    """One line of the log, and when on its day: seconds after 00:00 UTC."""

    at_s: float
    celsius: float
    percent: float
    lux: float
    ppm: float


def main(wheel: str) -> None:
    """Write day.jsonl beside this file."""
    log = read_log(Path(wheel))
    count = write_recording(DAY_JSONL, make_day(log))
    sys.stdout.write(f"{DAY_JSONL}: {count} messages, {DAY_JSONL.stat().st_size} bytes\n")


def read_log(wheel: Path) -> str:
    """The room log in river's wheel."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel}: {MEMBER} is not the one that this day was made of (SHA-256 {found}, expected {SHA256})")
    return data.decode()


def make_day(log: str) -> list[Recorded]:
    """All messages of the day, in order of time."""
    chance = random.Random(20150205)  # noqa: S311 - a plain sequence that is the same each time
    messages = [*beginning(), *study(log), *hall_light(log), *living(log)]
    messages += [*hall_motion(chance), *living_window(), *bath(log, chance), *washer(chance), *people()]
    return sorted(messages, key=lambda message: message.at_us)


# Recorded


def samples(log: str, day: datetime) -> Iterator[Sample]:
    """What the log has of 24 hours from 00:00 UTC of a day on."""
    begin = day + UTC_OFFSET
    for row in csv.DictReader(io.StringIO(log)):
        at_s = (datetime.fromisoformat(row["time"]) - begin).total_seconds()
        if 0 <= at_s < DAY_S:
            yield Sample(at_s, *(float(row[column]) for column in ("V1", "V2", "V3", "V4")))


def study(log: str) -> Iterator[Recorded]:
    """Thursday as it was recorded, as an ESPHome node would tell it: numbers, one topic for each sensor."""
    for sample in samples(log, THURSDAY):
        yield message(sample.at_s, "study/sensor/temperature/state", round(sample.celsius, 2))
        yield message(sample.at_s, "study/sensor/humidity/state", round(sample.percent, 1))
        yield message(sample.at_s, "study/sensor/illuminance/state", round(sample.lux, 1))
        yield message(sample.at_s, "study/sensor/co2/state", round(sample.ppm))


def hall_light(log: str) -> Iterator[Recorded]:
    """The daylight of Saturday, when nobody switched a lamp on, in the form of Zigbee2MQTT."""
    for sample in samples(log, SATURDAY):
        yield message(sample.at_s, "zigbee2mqtt/hall_lux", {"battery": 88, "illuminance": round(sample.lux), "linkquality": 120})


def living(log: str) -> Iterator[Recorded]:
    """Sunday, when the room was left alone, in the form of Tasmota."""
    for sample in samples(log, SUNDAY):
        climate = {"Temperature": round(sample.celsius, 1), "Humidity": round(sample.percent, 1)}
        yield message(sample.at_s, "tele/living/SENSOR", {"Time": tasmota_time(sample.at_s), "AM2301": climate, "TempUnit": "C"})


# Made up


def beginning() -> Iterator[Recorded]:
    """What the broker has retained when the house starts."""
    for topic, payload in (
        ("tele/washer/LWT", "Online"),
        ("tele/living_heater/LWT", "Online"),
        ("tele/porch/LWT", "Online"),
        ("study/status", "online"),
        ("bath/status", "online"),
        ("zigbee2mqtt/living_window/availability", {"state": "online"}),
        ("zigbee2mqtt/living_window", {"battery": 64, "contact": True, "linkquality": 96}),
        ("zigbee2mqtt/hall_motion", {"battery": 100, "linkquality": 84, "occupancy": False}),
    ):
        yield message(0, topic, payload, retain=True, qos=1)


def hall_motion(chance: random.Random) -> Iterator[Recorded]:
    """Who passes the hall: at the times at which the study's lamps went on or off, and now and then in between."""
    passes = [clock(hour, minute) for hour, minute in ((6, 42), (7, 38), (13, 10), (13, 30), (18, 2), (23, 50), (24, 30))]
    passes += [clock(0, 0) + chance.uniform(lo, hi) * 3_600 for lo, hi in ((6.8, 7.5), (8, 12), (8, 12), (14, 17)) for _ in range(2)]
    passes += [clock(0, 0) + chance.uniform(18.2, 22.4) * 3_600 for _ in range(9)]
    occupied_until = 0.0
    battery = 100
    for at_s in sorted(passes):
        if at_s < occupied_until + 30:
            continue
        occupied_until = at_s + chance.uniform(60, 150)
        for moment, occupied in ((at_s, True), (occupied_until, False)):
            quality = chance.randrange(60, 110)
            yield message(moment, "zigbee2mqtt/hall_motion", {"battery": battery, "linkquality": quality, "occupancy": occupied})


def living_window() -> Iterator[Recorded]:
    """Airing for 18 minutes in the morning, for five in the evening; the battery runs low meanwhile."""
    for hour, minute, closed, battery in ((8, 0, False, 64), (8, 18, True, 64), (19, 30, False, 14), (19, 35, True, 14)):
        yield message(clock(hour, minute), "zigbee2mqtt/living_window", {"battery": battery, "contact": closed, "linkquality": 96})


def bath(log: str, chance: random.Random) -> Iterator[Recorded]:
    """The air of Sunday's room with two showers added; the node is away for 25 minutes in the afternoon."""
    background = list(samples(log, SUNDAY))
    for step in range(DAY_S // 300):
        at_s = step * 300.0
        if clock(15, 0) <= at_s < clock(15, 25):
            continue
        base = min(background, key=lambda sample: abs(sample.at_s - at_s)).percent
        steam = sum(shower(at_s - clock(hour, minute)) for hour, minute in ((6, 50), (22, 5)))
        yield message(at_s, "bath/sensor/humidity/state", round(min(base + steam + chance.uniform(-0.4, 0.4), 99.0), 1))
    yield message(clock(15, 0), "bath/status", "offline", retain=False, qos=1)
    yield message(clock(15, 25), "bath/status", "online", retain=False, qos=1)


def shower(since_s: float) -> float:
    """Percent that a shower of ten minutes adds."""
    if since_s < 0:
        return 0.0
    return 62 * (1 - math.exp(-min(since_s, 600) / 200)) * math.exp(-max(since_s - 600, 0) / 1_500)


def washer(chance: random.Random) -> Iterator[Recorded]:
    """A programme from 09:04 to 10:31: heating, turning with pauses, spinning; before and after it stands by."""
    used_kwh = 0.0
    programme = ((0, 4, 60), (4, 22, 2050), (22, 62, 160), (62, 65, 3), (65, 78, 190), (78, 87, 420))
    for minute in range(DAY_S // 60):
        at_s = minute * 60.0
        since = minute - clock(9, 4) / 60
        power = next((watts for begin, end, watts in programme if begin <= since < end), 0.9)
        if power < 1 and minute % 5:
            continue
        watts = round(power * chance.uniform(0.9, 1.1)) if power > 1 else power
        used_kwh += watts / 60_000 * (1 if power > 1 else 5)
        energy = {"Today": round(used_kwh, 3), "Power": watts, "Voltage": 231}
        yield message(at_s, "tele/washer/SENSOR", {"Time": tasmota_time(at_s), "ENERGY": energy})


def people() -> Iterator[Recorded]:
    """What somebody says and presses. The second who wants to come in is not heard by anybody."""
    yield message(clock(17, 40), "em/in/home/helper/say", "Let the plumber in", qos=1)
    yield message(clock(17, 42), "notify/phone/answer", {"answer": "yes", "by": "ada"}, qos=1)
    yield message(clock(20, 50), "em/in/home/helper/say", "Unlock the front door for the neighbour", qos=1)
    yield message(clock(20, 15), "em/in/home/helper/say", "Turn on the light in the hall!", qos=1)
    yield message(clock(20, 40), "em/in/home/helper/say", "Switch the light off, please", qos=1)
    yield message(clock(20, 41), "em/in/home/helper/say", "switch the light off", qos=1)
    yield message(clock(22, 20), "zigbee2mqtt/bedroom_button", {"action": "hold", "battery": 71, "linkquality": 55})


# Forms


def clock(hour: int, minute: int) -> float:
    """A local time of the day as seconds after 00:00 UTC."""
    return hour * 3_600.0 + minute * 60 - UTC_OFFSET.total_seconds()


def tasmota_time(at_s: float) -> str:
    """Local time as Tasmota writes it."""
    return (THURSDAY + UTC_OFFSET + timedelta(seconds=at_s)).isoformat(timespec="seconds")


def message(at_s: float, topic: str, payload: object, *, retain: bool = False, qos: int = 0) -> Recorded:
    """One message."""
    return Recorded(round(at_s * SECOND_US), topic, payload, retain, qos)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
