"""A board that wakes once: it tells a reading, or those from one to another, hears what waited, and says how that went."""

import json
import sys

from upy import ticks

CLOCK = sys.argv[5] if len(sys.argv) > 5 else "0"  # how many seconds it is ahead, or "none"
now_s = ticks.now_s
ticks.now_s = (lambda: 0) if CLOCK == "none" else (lambda: now_s() + int(CLOCK))

QOS = int(sys.argv[6]) if len(sys.argv) > 6 else 1

from upy.keep import FileKeep  # noqa: E402
from upy.sleep import Sleeper  # noqa: E402


def main(port: str, kept: str, reading: str, awake_ms_max: str = "5000", *_: str) -> None:
    ports = [int(number) for number in port.split(",")]
    probe = Sleeper(
        "home/probe",
        "127.0.0.1",
        ports[0],
        others=[("127.0.0.1", other) for other in ports[1:]],
        every_s=600,
        keep=FileKeep(kept),
        awake_ms_max=int(awake_ms_max),
        retry_ms=20,
        log=lambda _: None,
    )
    heard = []
    probe.on("set", lambda command: heard.append(command.value))
    found = json.loads(reading)
    for value in range(*found) if isinstance(found, list) else [found]:
        probe.emit("reading", value, qos=QOS)
    report = probe.wake()
    sys.stdout.write(json.dumps(dict(report, heard=heard, lost=probe.lost, at=probe._client.brokers.at, **probe.counts)) + "\n")


main(*sys.argv[1:])
