"""The smallest heap in which a board works, by what its program uses.

`python -m benchmarks firmware heap`. A heap is counted as on a 32-bit chip: on a 64-bit machine the interpreter gets twice of it, as its
words are twice as long. To work is to reach the broker and to be told twenty commands of 200 bytes, each after the one before; what
sleeps wakes once. The floor of the same run is a program that does nothing but open a connection.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.processes import mosquitto
from firmware_bridge import micropython
from firmware_bridge.ota.program import collect, compiled, compiler

__all__ = ["main"]

_KIB_MAX: Final = 256
_TRY_S_MAX: Final = 20
_RULE: Final = '["{number:08x}", 0, [["air", None, 0, 0, [{number}, {number}, None, None], 0, 1, None]], None, []]'
_RULES: Final = ", ".join(_RULE.format(number=number) for number in range(12))
_FLOOR: Final = (
    "import select, socket, sys\nplain = socket.socket()\nplain.connect(socket.getaddrinfo('127.0.0.1', int(sys.argv[1]))[0][-1])\n"
)
_TALK: Final = """
heard = []
agent.on("set", heard.append)
agent.when_ready(lambda: agent.tell("in", "set", b"x" * 200, 1))
while len(heard) < 20:
    before = len(heard)
    agent.step(1_000)
    {more}
    if len(heard) > before:
        agent.tell("in", "set", b"x" * 200, 1)
agent.close()
"""
_PLAIN: Final = "import sys\nfrom upy.agent import Agent\nagent = Agent('home/board', '127.0.0.1', int(sys.argv[1]), log=lambda _: None)\n"
_JUDGE: Final = f"from upy.judge import Judge\nagent.use(Judge(None, [1, '0badcafe', [], [{_RULES}]]))\n"
_UPDATER: Final = "from upy.update import Updater\nUpdater(agent, 'board')\n"
_SLEEPER: Final = (
    "import sys\nfrom upy.keep import FileKeep\nfrom upy.sleep import Sleeper\n"
    "agent = Sleeper('home/board', '127.0.0.1', int(sys.argv[1]), every_s=9, keep=FileKeep('kept'), log=lambda _: None)\n"
)
_WAKE: Final = "agent.on('set', print)\nagent.emit('air', 30, qos=1)\nassert agent.wake()['drained']\n"
_BOARDS: Final = {
    "a bare connection": (_FLOOR, True),
    "an agent": (_PLAIN + _TALK.format(more="pass"), True),
    "an agent, from its sources": (_PLAIN + _TALK.format(more="pass"), False),
    "it judges 12 rules": (_PLAIN + _JUDGE + _TALK.format(more="agent.emit('air', len(heard))"), True),
    "it takes updates": (_PLAIN + _UPDATER + _TALK.format(more="pass"), True),
    "it sleeps": (_SLEEPER + _WAKE, True),
    "it sleeps, judges and takes updates": (_SLEEPER + _JUDGE + _UPDATER + _WAKE, True),
}


def works(folder: Path, port: int, kib: int) -> bool:
    """Whether the program of a folder comes to its end in a heap of this size."""
    words = [*micropython.command(f"{kib}wK"), "boot.py", str(port)]
    environment = {"PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, timeout=_TRY_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def smallest_kib(folder: Path, port: int) -> int:
    """The smallest heap in KiB, found by halving."""
    low, high = 0, _KIB_MAX
    if not works(folder, port, high):
        sys.exit(f"{folder.name} does not work in {high} KiB")
    while high - low > 1:
        middle = (low + high) // 2
        if works(folder, port, middle):
            high = middle
        else:
            low = middle
    return high


def put(folder: Path, program: str, *, is_compiled: bool) -> None:
    """Lay out a board's flash: the program, and the parts of `upy` that it uses."""
    source = folder.with_name(f"{folder.name} source")
    source.mkdir()
    (source / "main.py").write_text(program)
    for name, data in compiled(collect(source), compiler() if is_compiled else []):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (folder / "boot.py").write_text("import gc\ngc.collect()\ngc.threshold(4096)\nimport main\n")  # as the loader does


def main() -> None:
    """Measure."""
    if not compiler():
        sys.exit("mpy-cross is not installed")
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        print("the smallest heap of a 32-bit chip")
        floor = 0
        for what, (program, is_compiled) in _BOARDS.items():
            folder = Path(name) / what
            put(folder, program, is_compiled=is_compiled)
            found = smallest_kib(folder, port)
            floor = floor or found
            print(f"  {what:36s} {found:4d} KiB  {found / floor:5.1f} x")


if __name__ == "__main__":
    main()
