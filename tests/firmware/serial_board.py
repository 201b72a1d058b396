"""A board on a serial line for tests: it says what it has done, counts, and presses its button when it is told to."""

import sys

from upy.serial_agent import SerialAgent


def open_line(path: str) -> "object":
    """What comes in is read byte by byte; MicroPython knows no other way."""
    return open(path, "r+b") if sys.implementation.name == "micropython" else open(path, "r+b", buffering=0)  # noqa: PTH123 - as there


def main(path: str, name: str = "board", address: str = "0", tick_ms: str = "50") -> None:
    agent = SerialAgent(name, open_line(path), address=int(address), again_ms=200)
    agent.output("tick")
    agent.output("echo", retain=True)
    agent.output("press")
    ticks = [0]
    presses = []

    def tick() -> None:
        ticks[0] += 1
        agent.emit("tick", ticks[0])
        while presses and agent.event("press", presses[0]):
            del presses[0]

    def act(value: object) -> None:
        sys.stdout.write("did %s\n" % value)  # noqa: UP031 - MicroPython has no better
        if value == "refuse me":
            raise ValueError("no")
        agent.emit("echo", value)

    def press(value: int) -> None:
        presses.extend(range(value))

    agent.on("set", act)
    agent.on("presses", press)
    agent.every(int(tick_ms), tick)
    agent.run()


main(*sys.argv[1:])
