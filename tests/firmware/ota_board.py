"""A board without a network, on CPython: its flash is a folder, its clock stands still unless it is told."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge import micropython
from firmware_bridge.ota.image import Image, make_image
from firmware_bridge.ota.key import HmacKey

sys.path.insert(0, str(Path(micropython.__file__).parent))
try:
    # It speaks of `upy`, as a board does. The folder stays on no path: what else is in it is called as other packages are.
    import ota_rig as rig
    from upy import update  # type: ignore[import-not-found]
    from upy.slots import Files, Slots, boot  # type: ignore[import-not-found]
finally:
    del sys.path[0]

__all__ = ["CHUNK", "KEY", "Bench", "Files", "Slots", "boot", "code", "image", "rig", "update"]

KEY = HmacKey(bytes(range(32)))
CHUNK = 256


def image(version: int, *, board: str = rig.PATH, chunk: int = CHUNK, key: HmacKey | None = KEY, more: bytes = b"") -> Image:
    body = random.Random(version).randbytes(5_000)
    files = [("data.bin", body), ("lib/empty.py", b""), ("lib/more.py", b"x = 1\n" * 300), ("main.py", b"print(1)\n" + more)]
    made = make_image(files, board=board, version=version, made="2026-01-01T00:00:00Z", chunk=chunk, title="green", summary="new")
    return made if key is None else made.signed(key.sign(made.manifest_bytes))


class Bench:
    """A board whose flash holds version 1 in `a`."""

    def __init__(self, folder: Path, files: Any = None) -> None:
        self.files = files or Files(str(folder))
        self.clock_ms = 1_000_000
        self.files.write("update.keys", KEY.line.encode())
        old = image(1)
        for name, data in old.files():
            if "/" in name:
                self.files.make_folder("a/" + name.rpartition("/")[0])
            self.files.make_folder("a")
            self.files.write("a/" + name, data)
        self.files.write("a/manifest", old.manifest_bytes)
        self.start()

    def start(self, *, ok: Callable[[], object] | None = None) -> str:
        """Power on; which slot runs."""
        name = Slots(self.files).start()
        self.agent = rig.Agent()
        self.updater = update.Updater(self.agent, files=self.files, ok=ok, restart=rig.restarted)
        self.agent.ready[0]()
        return str(name)

    def offer(self, data: bytes) -> dict[str, Any]:
        """What the board says of itself once it was offered this."""
        self.agent.parts["_update"](data, True)
        told: dict[str, Any] = self.agent.said()
        return told

    def chunk(self, message: bytes, *, retained: bool = False) -> None:
        self.agent.parts["_chunk"](message, retained)

    def load(self, offered: Image) -> None:
        """All that is asked for, until the board restarts."""
        desk = rig.Desk(offered.offer, offered.body, offered.manifest.chunk)

        def answer() -> None:
            for wish in self.agent.wishes():
                for message in desk.answers(wish):
                    self.chunk(message)

        self.go_on(answer)

    def go_on(self, between: Callable[[], object]) -> None:
        """Let time pass until the board restarts."""
        for _ in range(2_000):
            try:
                between()
                self.agent.tick()
            except rig.Restarted:
                return
        pytest.fail(f"it does not restart: {self.agent.said()}")


def code(told: dict[str, Any]) -> str:
    return str(told["refused"]["code"]) if told["refused"] else ""
