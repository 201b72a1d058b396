"""A raw MQTT subscriber, of another make than ours: counts what passes, copies and all."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos.program import Program

__all__ = ["Heard", "ear", "heard"]


@dataclass(frozen=True, slots=True)
class Heard:
    """How many different numbers came on some topic, and how many messages beyond one of each."""

    numbers: int
    copies: int

    def __str__(self) -> str:
        return f"{self.numbers} numbers, {self.copies} copies"


def ear(url: str, log: Path, filters: tuple[str, ...]) -> Program:
    """mosquitto_sub, with a session that outlives its connections; it connects again by itself."""
    address = urlsplit(url)
    executable = shutil.which("mosquitto_sub")
    assert executable is not None, "mosquitto_sub is not installed (apt install mosquitto-clients)"
    # Each line is written as it comes, or the last ones would be lost when it is killed.
    command = [
        "stdbuf",
        "-oL",
        executable,
        "-h",
        str(address.hostname),
        "-p",
        str(address.port),
        "-i",
        "raw-ear",
        "-c",
        "-q",
        "1",
        "-F",
        "%t %p",
    ]
    if address.username is not None:
        command += ["-u", address.username, "-P", str(address.password)]
    for topic_filter in filters:
        command += ["-t", topic_filter]
    return Program("ear", command, log)


def heard(log: Path, topic: str) -> Heard:
    """What an ear has written down of one topic."""
    counts: Counter[int] = Counter()
    head = f"{topic} ".encode()
    for line in log.read_bytes().splitlines():
        if line.startswith(head):
            counts[_number(json.loads(line[len(head) :]))] += 1
    return Heard(len(counts), counts.total() - len(counts))


def _number(payload: object) -> int:
    """The number that a message is about: a bare one, or in the data of an event."""
    value = payload["data"] if isinstance(payload, dict) else payload
    number = value["number"] if isinstance(value, dict) else value
    assert isinstance(number, int)
    return number
