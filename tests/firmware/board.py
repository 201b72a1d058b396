"""A board for tests: short times, an echo, and its counts at the end."""

import json
import sys

from upy.agent import Agent
from upy.command import Command


def main(port: str, timeout_ms: str = "5000", retry_ms_max: str = "200") -> None:
    longest_ms = int(retry_ms_max)
    times = {"keepalive_s": 1, "timeout_ms": int(timeout_ms), "retry_ms": min(50, longest_ms), "retry_ms_max": longest_ms}
    agent = Agent("home/board", "127.0.0.1", int(port), **times)

    def echo(command: Command) -> None:
        if command.value == "refuse me":
            raise ValueError("no")
        agent.emit("echo", command.value, qos=1)

    def keep(command: Command) -> None:
        agent.emit("kept", command.value, retain=True)

    agent.on("set", echo)
    agent.on("keep", keep)
    agent.on("stop", lambda _: agent.stop())
    agent.every(100, lambda: agent.emit("tick", 1))
    agent.run()
    sys.stdout.write(json.dumps(agent.counts) + "\n")


main(*sys.argv[1:])
