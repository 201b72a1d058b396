"""A greenhouse on a board: a thermometer and a fan, for MicroPython and CPython alike.

    greenhouse.py [HOST[:PORT] [PATH [PERIOD_MS [SEED]]]]

Every PERIOD_MS (1,000) a minute passes in the greenhouse, from 01:00 on, as in day.jsonl at 60 times the speed. The sun
follows a day, clouds follow the SEED, and the fan cools while it runs. Same seed, same commands at the same minute: same
readings.

    em/out/{path}/temperature   a number, degrees Celsius
    em/out/{path}/fan           on or off, retained
    em/in/{path}/set            on or off
"""

import math
import sys

from upy.agent import Agent
from upy.command import Command

MINUTES_A_DAY = 1440
FIRST_MINUTE = 60
OUTSIDE_C = 14.0
SUN_C = 18.0
CLOUD_C = 4.0
WARMING = 0.05
FAN_COOLING = 0.15


class Greenhouse:
    """The air in it, minute by minute."""

    def __init__(self, seed: int) -> None:
        self.temperature = 16.0
        self.fan = "off"
        self._minute = FIRST_MINUTE
        self._chance = seed & 0x7FFFFFFF

    def pass_minute(self) -> None:
        """Let a minute pass."""
        self._minute = (self._minute + 1) % MINUTES_A_DAY
        self._chance = (self._chance * 1103515245 + 12345) & 0x7FFFFFFF
        sun = max(0.0, math.sin((self._minute / MINUTES_A_DAY - 0.25) * 2 * math.pi))
        cloud = sun * CLOUD_C * ((self._chance >> 16) / 0x7FFF - 0.5)
        self.temperature += WARMING * (OUTSIDE_C + SUN_C * sun + cloud - self.temperature)
        if self.fan == "on":
            self.temperature += FAN_COOLING * (OUTSIDE_C - self.temperature)


def main(server: str = "127.0.0.1", path: str = "home/greenhouse/board", period_ms: str = "1000", seed: str = "1") -> None:
    """Wire the greenhouse to the bus."""
    host, _, port = server.partition(":")
    house = Greenhouse(int(seed))
    agent = Agent(path, host, int(port or 1883))

    def report() -> None:
        house.pass_minute()
        agent.emit("temperature", round(house.temperature, 2))

    def obey(command: Command) -> None:
        if command.value not in ("on", "off"):
            raise ValueError("the fan knows on and off")
        house.fan = command.value
        agent.emit("fan", house.fan, retain=True)

    agent.on("set", obey)
    agent.emit("fan", house.fan, retain=True)
    agent.every(int(period_ms), report)
    agent.run()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (TypeError, ValueError) as error:
        sys.stderr.write(f"greenhouse.py: {error}\n")
        sys.exit(2)
