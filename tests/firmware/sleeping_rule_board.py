"""A board that sleeps, and wakes its radio only when its rules have something to say, or it has none yet."""

import sys

from upy.judge import Judge
from upy.keep import FileKeep
from upy.sleep import Sleeper


def main(port: str, folder: str, reading: str) -> None:
    probe = Sleeper("home/green/board", "127.0.0.1", int(port), every_s=600, keep=FileKeep(folder + "/memory"))
    judge = Judge(FileKeep(folder + "/rules"), slept_ms=600_000)
    probe.use(judge)
    probe.on("set", lambda command: print("fan", command.value))
    probe.emit("temperature", float(reading))
    if judge.waiting or not judge.table:
        probe.wake()
        print("was awake")
    else:
        probe.store()
        print("stayed silent")


main(*sys.argv[1:])
