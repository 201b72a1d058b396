"""Kinds of frames, and results of commands (docs/spec/serial.md, "Kinds")."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["TO_DEVICE", "VERSION", "Kind", "Result"]

VERSION = 1
"""Of what is spoken on the line."""
TO_DEVICE = 0x80
"""The bit of a kind that the bridge alone sends."""


class Kind(IntEnum):
    """The second byte of a frame."""

    HELLO = 0x01
    HERE = 0x02
    EMIT = 0x03
    EVENT = 0x04
    ACK = 0x05
    WHO = 0x81
    WELCOME = 0x82
    PING = 0x83
    TAKEN = 0x84
    COMMAND = 0x85


class Result(IntEnum):
    """What became of a command, as the device says."""

    DONE = 0
    NO_PORT = 1
    WRONG_VALUE = 2
    FAILED = 3

    @property
    def reason(self) -> str:
        """For whoever asked, where the device gives no words of its own."""
        return {0: "", 1: "the device has no such port", 2: "the device refuses the value"}.get(self, "the device failed")
