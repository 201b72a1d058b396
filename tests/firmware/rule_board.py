"""A board for tests of rules: whatever comes on `air` or `shine` it puts out as a reading, and its fan does as it is told."""

import json
import sys

from upy.agent import Agent
from upy.command import Command
from upy.judge import Judge
from upy.keep import FileKeep


def main(port: str, folder: str, table: str = "null") -> None:
    times = {"keepalive_s": 1, "retry_ms": 50, "retry_ms_max": 200}
    agent = Agent("home/green/board", "127.0.0.1", int(port), keep=FileKeep(folder + "/memory"), **times)
    judge = Judge(FileKeep(folder + "/rules"), json.loads(table))
    agent.use(judge)

    def emit_all(port: str, command: Command) -> None:
        for value in command.value if isinstance(command.value, list) else [command.value]:
            agent.emit(port, value)

    def obey(command: Command) -> None:
        if command.value not in ("on", "off"):
            raise ValueError("the fan knows on and off")
        print("fan", command.value)
        agent.emit("fan", command.value, retain=True)

    agent.on("air", lambda command: emit_all("temperature", command))
    agent.on("set", obey)
    agent.on("shine", lambda command: emit_all("light", command))
    agent.run()
    sys.stdout.write(json.dumps({"lost": judge.lost, "waiting": judge.waiting, "table": judge.table}) + "\n")


main(*sys.argv[1:])
