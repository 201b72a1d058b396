"""A board with a flash of its own (a folder), which whoever is at its power starts again; and programs for it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from firmware_bench import WAIT_S

from firmware_bridge.ota.image import Image, make_image
from firmware_bridge.ota.key import HmacKey, RsaKey
from firmware_bridge.ota.program import collect, compiled, compiler, write_tree

PATH = "home/board"
KIND = "greenhouse"
MADE = "2026-01-01T00:00:00Z"

PROGRAM = """
import json
from upy.agent import Agent
from upy.update import Updater

VERSION = {version}
with open("device.json") as file:
    told = json.load(file)
agent = Agent(told["path"], "127.0.0.1", told["port"], retry_ms=50, retry_ms_max=200)
agent.emit("version", VERSION, retain=True)
updater = Updater(agent, "greenhouse", trial_s=told["trial_s"])
{more}
print("version", VERSION, "runs")
agent.run()
"""


SLEEPER = """
import json, sys, time
from upy.keep import FileKeep
from upy.sleep import Sleeper
from upy.update import Updater

with open("device.json") as file:
    told = json.load(file)
probe = Sleeper(told["path"], "127.0.0.1", told["port"], every_s=1, keep=FileKeep("kept"), log=lambda _: None)
Updater(probe, "greenhouse")
probe.emit("version", {version}, qos=1)
print("version {version} woke", probe.wake()["drained"])
time.sleep(0.2)
sys.exit()
"""


def program(folder: Path, version: int, *, more: str = "", size: int = 0, text: str = PROGRAM) -> Path:
    """An application that tells its version; with `size` a file of noise is with it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(text.format(version=version, more=more))
    if size:
        (folder / "noise.bin").write_bytes(random.Random(version).randbytes(size))
    return folder


_bytecode: dict[tuple[str, bytes, bool], list[tuple[str, bytes]]] = {}
"""What was compiled: it costs more than all else here."""


def image_of(folder: Path, version: int, key: RsaKey | HmacKey, *, board: str = KIND, chunk: int = 768, is_source: bool = False) -> Image:
    """An image of a program, signed; as bytecode, or as source for interpreters that know no bytecode."""
    files: list[tuple[str, bytes]] = []
    for name, file in collect(folder):
        known = (name, file.read_bytes(), is_source)
        if known not in _bytecode:
            _bytecode[known] = compiled([(name, file)], [] if is_source else compiler())
        files += _bytecode[known]
    image = make_image(sorted(files), board=board, version=version, made=MADE, chunk=chunk, title="the greenhouse")
    return image.signed(key.sign(image.manifest_bytes))


class Keeper:
    """Starts a board's program, and again whenever it ends, as a chip does by itself."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder = folder
        self.starts = 0
        self._words = words
        self._log = folder.parent / f"{folder.name}.log"
        self._log.write_bytes(b"")
        self._off = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._keep_on, daemon=True)
        self._thread.start()

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, words: str, wait_s: float = 3 * WAIT_S) -> None:
        until(lambda: words in self.said(), f"the board did not say {words!r}, but {self.said()[-2000:]!r}", wait_s)

    def cut(self) -> None:
        """The power fails for a moment. A program that has said something can be cut: it may be quicker than whoever starts it."""
        with self._starting:
            process = self._process
        if process is not None:
            process.kill()

    def off(self) -> None:
        self._off.set()
        while self._thread.is_alive():
            self.cut()
            self._thread.join(0.1)

    def _keep_on(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in ("MICROPYPATH", "PYTHONPATH")}
        environment["PYTHONUNBUFFERED"] = "1"
        while not self._off.is_set():
            with self._log.open("ab") as out, self._starting:
                self.starts += 1
                self._process = subprocess.Popen(
                    [*self._words, "main.py"], cwd=self.folder, env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            self._process.wait()


class Powered(Keeper):
    """A board with an image in its first slot, as it comes from whoever made it."""

    def __init__(
        self, folder: Path, words: list[str], image: Image, keys: list[str], port: int, trial_s: int = 20, path: str = PATH
    ) -> None:
        write_tree(folder, image, keys, [])
        (folder / "device.json").write_text(json.dumps({"path": path, "port": port, "trial_s": trial_s}))
        super().__init__(folder, words)


def until(holds: Callable[[], bool], what: str, wait_s: float = 3 * WAIT_S) -> None:
    end = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)
