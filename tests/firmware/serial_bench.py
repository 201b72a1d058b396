"""Noise, the firmware in C as a library, and a line between it and the bridge's state machine in virtual time."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgematrix.protocol.path import AgentPath
from firmware_bridge import serial
from firmware_bridge.serial.command import Command, wire_id
from firmware_bridge.serial.device import Device
from firmware_bridge.serial.effect import Answer, Publish, Send
from firmware_bridge.serial.kind import Kind
from firmware_bridge.serial.pace import Pace
from firmware_bridge.upy.serial_frame import Reader, pack

AVR = Path(serial.__file__).parents[1] / "avr"
SECOND_US = 1_000_000
GREETING = b"\x01\x00\x00\xf9pump >echo =level <set"


class Noise:
    """Flips bits, loses bytes, adds some: each with a chance for every byte, from a seed."""

    def __init__(self, seed: int, flipped: float, lost: float, added: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._chances = (flipped, lost, added)
        self.done = 0

    def spoil(self, data: bytes) -> bytes:
        flipped, lost, added = self._chances
        out = bytearray()
        for byte in data:
            chance = self._random.random()
            if chance < lost:
                self.done += 1
                continue
            spoilt = byte
            if chance < lost + flipped:
                self.done += 1
                spoilt ^= 1 << self._random.randrange(8)
            out.append(spoilt)
            if self._random.random() < added:
                self.done += 1
                out.append(self._random.randrange(256))
        return bytes(out)


class Quiet(Noise):
    """None at all."""

    def __init__(self) -> None:
        super().__init__(0, 0.0, 0.0)


def compiled(folder: Path, sources: list[str], *options: str, out: str) -> Path:
    """Compile the firmware in C for this machine; every warning is an error. Skips where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    target = folder / out
    words = ["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-DEM_PAYLOAD_MAX=249", f"-I{AVR}", *options]
    subprocess.run([*words, "-o", str(target), *sources], check=True)
    return target


def library(folder: Path) -> ctypes.CDLL:
    """The frames and the device in C, to be called from here."""
    sources = [str(AVR / name) for name in ("em_frame.c", "em_device.c")]
    found = ctypes.CDLL(str(compiled(folder, sources, "-shared", "-fPIC", out="em.so")))
    found.em_crc.restype = ctypes.c_uint16
    for name in ("em_stuff", "em_unstuff"):
        getattr(found, name).restype = ctypes.c_uint8
    for name in ("em_emit", "em_event", "em_is_welcome"):
        getattr(found, name).restype = ctypes.c_bool
    return found


_PUT = ctypes.CFUNCTYPE(None, ctypes.c_uint8)
_COMMAND = ctypes.CFUNCTYPE(ctypes.c_uint8, ctypes.c_uint8, ctypes.POINTER(ctypes.c_char), ctypes.c_uint8)


class _About(ctypes.Structure):
    _fields_ = (("hello", ctypes.c_char_p), ("address", ctypes.c_uint8), ("put", _PUT), ("command", _COMMAND))


class CDevice:
    """The firmware in C. It has one state for the whole process, so there is one at a time."""

    def __init__(self, found: ctypes.CDLL, hello: str = "pump >echo =level <set") -> None:
        self.sent = bytearray()
        self.commands: list[tuple[int, bytes]] = []
        self.result: Callable[[int, bytes], int] = lambda port, value: 0
        self._found = found
        self._about = _About(hello.encode(), 0, _PUT(self.sent.append), _COMMAND(self._command))
        self.restart()

    def restart(self) -> None:
        self.sent.clear()
        self._found.em_begin(ctypes.byref(self._about))

    def take(self, data: bytes) -> None:
        for byte in data:
            self._found.em_take(ctypes.c_uint8(byte))

    def tick(self, now_us: int) -> None:
        self._found.em_tick(ctypes.c_uint16(now_us // 1000 & 0xFFFF))

    def emit(self, port: int, value: bytes) -> bool:
        return bool(self._found.em_emit(ctypes.c_uint8(port), value))

    def event(self, port: int, value: bytes) -> bool:
        return bool(self._found.em_event(ctypes.c_uint8(port), value))

    def _command(self, port: int, value: ctypes._Pointer[ctypes.c_char], size: int) -> int:
        found = bytes(value[:size])
        assert value[size] == b"\0"
        self.commands.append((port, found))
        return self.result(port, found)


class Bus:
    """Does what a device's state machine wants: keeps what it publishes and answers, and hands frames to whoever takes them.

    Values are confirmed by the broker `confirm_us` after they were published, those that ask for it.
    """

    def __init__(self, device: Device, send: Callable[[bytes], object], confirm_us: int = 5_000) -> None:
        self.device = device
        self.published: list[tuple[str, bytes]] = []
        self.answers: list[tuple[str, str]] = []
        self.finished: list[int] = []
        self.told: list[tuple[str, str]] = []
        self._send = send
        self._confirm_us = confirm_us
        self._pending: list[tuple[int, int]] = []

    def settle(self, now_us: int) -> None:
        while self.device.effects:
            effect = self.device.effects.pop(0)
            if isinstance(effect, Send):
                self._send(effect.frame)
            elif isinstance(effect, Publish):
                self.published.append((effect.port, effect.value))
                if effect.number:
                    self._pending.append((now_us + self._confirm_us, effect.number))
            elif isinstance(effect, Answer):
                self.answers.append((effect.id, effect.error))
            elif hasattr(effect, "receipt"):
                self.finished.append(effect.receipt)
            else:
                self.told.append((self.device.phase.status, self.device.reason))

    def advance(self, now_us: int) -> None:
        for moment, number in [one for one in self._pending if one[0] <= now_us]:
            self._pending.remove((moment, number))
            self.device.confirmed(number)
        due_us = self.device.deadline_us
        if due_us is not None and due_us <= now_us:
            self.device.advance(now_us)
        self.settle(now_us)


def new_device(pace: Pace | None = None, path: str = "home/pump") -> Device:
    sessions = iter(range(1, 0x10000))
    return Device(AgentPath(path), 0, lambda: next(sessions), pace or Pace())


def command(number: int, value: bytes, now_us: int = 0, *, port: str = "set", lasts_us: int = 600 * SECOND_US, receipt: int = 0) -> Command:
    found = f"command-{number}"
    return Command(found, wire_id(found), port, value, now_us + lasts_us, receipt)


class Wire:
    """A line between the bridge's state machine and the firmware in C, with noise in both directions, in steps of virtual time."""

    def __init__(self, device: Device, board: CDevice, noise: Noise, step_us: int = 10_000) -> None:
        self.now_us = 0
        self._down = bytearray()
        self.bus = Bus(device, self._down.extend)
        self.board = board
        self._noise = noise
        self._step_us = step_us
        self._reader = Reader()
        device.opened(0)

    @property
    def damaged(self) -> int:
        return sum(self._reader.damaged.values())

    def step(self) -> None:
        device, board = self.bus.device, self.board
        self.now_us += self._step_us
        self.bus.advance(self.now_us)
        data = bytes(self._down)
        self._down.clear()
        board.take(self._noise.spoil(data))
        board.tick(self.now_us)
        data = self._noise.spoil(bytes(board.sent))
        board.sent.clear()
        for address, kind, number, payload in self._reader.feed(data):
            if address == 0:
                device.frame(kind, number, payload, self.now_us)
                self.bus.settle(self.now_us)

    def run_until(self, holds: Callable[[], bool], seconds: float = 600) -> None:
        until_us = self.now_us + int(seconds * SECOND_US)
        while not holds():
            self.step()
            assert self.now_us < until_us, f"not within {seconds} s of virtual time: {self.bus.device.counts}"


def welcome(device: Device, bus: Bus, now_us: int = 0, greeting: bytes = GREETING) -> None:
    """Let a device be taken in, as a good one is."""
    device.frame(Kind.HELLO, 0, greeting, now_us)
    bus.settle(now_us)
    device.frame(Kind.HERE, 0, device.session.to_bytes(2, "big") + b"\0\0", now_us)
    bus.settle(now_us)


def cut(frame: bytes) -> tuple[int, int, int, bytes]:
    """What one frame holds."""
    found = Reader().feed(frame)
    assert len(found) == 1, frame
    return found[0]


__all__ = ["AVR", "Bus", "CDevice", "Noise", "Quiet", "Wire", "command", "compiled", "cut", "library", "new_device", "pack", "welcome"]
