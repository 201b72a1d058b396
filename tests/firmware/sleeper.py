"""A board that wakes once: it tells a reading, hears what waited, and says how that went."""

import json
import sys

from upy.keep import FileKeep
from upy.sleep import Sleeper


def main(port: str, kept: str, reading: str, awake_ms_max: str = "5000") -> None:
    probe = Sleeper(
        "home/probe",
        "127.0.0.1",
        int(port),
        every_s=600,
        keep=FileKeep(kept),
        awake_ms_max=int(awake_ms_max),
        retry_ms=20,
        log=lambda _: None,
    )
    heard = []
    probe.on("set", lambda command: heard.append(command.value))
    probe.emit("reading", json.loads(reading), qos=1)
    report = probe.wake()
    sys.stdout.write(json.dumps(dict(report, heard=heard, lost=probe.lost, **probe.counts)) + "\n")


main(*sys.argv[1:])
