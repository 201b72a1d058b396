"""A board that writes down each command that it carries out, and keeps how far it has come in a file."""

import sys

from upy.agent import Agent
from upy.command import Command
from upy.keep import FileKeep


def main(port: str, written: str, kept: str) -> None:
    times = {"keepalive_s": 2, "timeout_ms": 2_000, "retry_ms": 20, "retry_ms_max": 50}
    agent = Agent("home/board", "127.0.0.1", int(port), keep=FileKeep(kept), **times)
    with open(written, "a") as file:  # noqa: PTH123 - MicroPython has no pathlib

        def carry_out(command: Command) -> None:
            file.write(str(command.value) + "\n")
            file.flush()

        agent.on("set", carry_out)
        agent.run()


main(*sys.argv[1:])
