"""Two places for a program, `a/` and `b/`, and which of them runs (docs/spec/firmware.md, "On the board").

On a board this file lies beside `main.py`, which says `import slots; slots.boot()`; no update touches these two. Whatever is
written here can be cut off at any moment: afterwards either the old program runs or the new one, and never half of one.
"""

import binascii
import gc
import json
import os
import sys
import time

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["MARK", "STARTS_MAX", "Files", "Slots", "boot", "restart"]

MARK = "manifest"
"""The file of a slot that says that all of it is there. It is the manifest of the image, as it was signed."""
STARTS_MAX = 3
"""How often a program on trial is started before it is given up: the power may fail during a trial too."""
_BAD_MAX = 8
_REASON_LENGTH_MAX = 96
_NAMES = ("a", "b")
_FOLDER = 0x4000
_EXIT_CODE = 3
_GARBAGE_BYTES_MAX = 4_096


class Files:
    """The files below a folder, "" for the one in which the board starts. What changes something is durable when it returns."""

    def __init__(self, base: str = "") -> None:
        self.base = base + "/" if base and not base.endswith("/") else base

    def read(self, name: str) -> bytes:
        """What a file holds; empty if it is not there."""
        try:
            with open(self.base + name, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def open(self, name: str, mode: str) -> "BinaryIO":
        """A file, as `open` gives it.

        Raises:
            OSError: it is not there, or there is no room.
        """
        return open(self.base + name, mode)  # type: ignore[return-value]  # the mode is always a binary one

    def sync(self, file: "BinaryIO") -> None:
        """Make durable what was written."""
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())

    def write(self, name: str, data: bytes) -> None:
        """Make a file, or write it anew. Cut off, it is no longer what it was."""
        file = self.open(name, "wb")
        try:
            file.write(data)
            self.sync(file)
        finally:
            file.close()

    def size(self, name: str) -> int:
        """How many bytes a file has; -1 if it is not there."""
        try:
            found = os.stat(self.base + name)
        except OSError:
            return -1
        return -1 if found[0] & _FOLDER else found[6]

    def rename(self, old: str, new: str) -> None:
        """Give a file a name that is free."""
        os.rename(self.base + old, self.base + new)

    def make_folder(self, name: str) -> None:
        """Make a folder, and those above it, unless it is there."""
        made = ""
        for part in name.split("/"):
            made += part
            try:
                os.mkdir(self.base + made)
            except OSError:
                if not os.stat(self.base + made)[0] & _FOLDER:
                    raise
            made += "/"

    def remove(self, name: str) -> None:
        """Take away a file, or a folder with all that is in it; nothing if it is not there."""
        path = self.base + name
        try:
            is_folder = os.stat(path)[0] & _FOLDER
        except OSError:
            return
        if not is_folder:
            os.remove(path)
            return
        for entry in os.listdir(path):
            self.remove(name + "/" + entry)
        os.rmdir(path)

    def room(self) -> tuple[int, int]:
        """How many blocks are free, and the bytes of one; -1 and 0 if the system does not tell."""
        try:
            told = os.statvfs(self.base or ".")
        except (AttributeError, OSError):
            return -1, 0
        return told[4], told[1]


class Slots:
    """What is remembered of the two slots, in two files of which the newer whole one counts.

    `run` is the slot whose program is good, `trial` the one on trial (else empty), `left` how often it may be started yet, `load`
    the digest of what is being loaded into the other slot, and `bad` what failed: [version, digest, how often it may be tried
    yet, reason]. `number` counts the changes.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.number = 0
        self.run, self.trial, self.left, self.load = "", "", 0, ""
        self.bad: list = []  # type: ignore[type-arg]
        for copy in (0, 1):
            self._take(files.read("slots.%d" % copy))
        if not self.run:
            self.run = self._guess()

    @property
    def other(self) -> str:
        """The slot that may be written to."""
        return "b" if self.run == "a" else "a"

    def manifest(self, slot: str) -> dict:  # type: ignore[type-arg]
        """The manifest of the program in a slot; empty if not all of it is there."""
        try:
            found = json.loads(self.files.read(slot + "/" + MARK))
            return found if isinstance(found["version"], int) else {}
        except (ValueError, KeyError, TypeError):
            return {}

    def version(self) -> int:
        """The version of the good program; 0 if nobody wrote it down."""
        return int(self.manifest(self.run).get("version", 0))

    def tries_left(self, digest: str) -> int:
        """How often what failed may be tried yet; -1 for what never did."""
        for entry in self.bad:
            if entry[1] == digest:
                return int(entry[2])
        return -1

    def begin(self, digest: str, manifest: bytes) -> None:
        """Make the other slot ready to be loaded. What is there of the same image stays.

        Raises:
            OSError: there is no room.
        """
        if self.load != digest:
            self._store(load="")
            self.files.remove(self.other + "/" + MARK)
            self.files.remove(self.other)
            self.files.make_folder(self.other)
            self._store(load=digest)
        self.files.make_folder(self.other)
        self.files.remove(self.other + "/" + MARK)
        self.files.write(self.other + "/" + MARK + ".new", manifest)

    def begun(self) -> bytes:
        """The manifest of what was being loaded when the board stopped; empty if nothing was."""
        return b"" if not self.load or self.trial else self.files.read(self.other + "/" + MARK + ".new")

    def loaded(self) -> None:
        """All of the other slot is there and right: it is on trial from the next start on.

        Raises:
            OSError: it cannot be written.
        """
        self.files.rename(self.other + "/" + MARK + ".new", self.other + "/" + MARK)
        self._store(trial=self.other, left=STARTS_MAX)

    def start(self) -> str:
        """The slot whose program is to be started now; empty if there is none. What cannot be written down is not tried."""
        try:
            if self.trial:
                if self.left > 0 and self._has_program(self.trial):
                    self._store(left=self.left - 1)
                    return self.trial
                self.fail("it was started %d times, and was not content" % STARTS_MAX)
            if not self._has_program(self.run) and self.manifest(self.other) and self._has_program(self.other):
                self._store(run=self.other)
        except OSError as error:
            print("the flash takes nothing:", error)  # noqa: T201 - a board's console
        if self._has_program(self.run):
            return self.run
        return self.other if self.manifest(self.other) and self._has_program(self.other) and not self.trial else ""

    def confirm(self) -> None:
        """The program on trial is good."""
        if self.trial:
            self._store(run=self.trial, trial="", load="")

    def fail(self, reason: str, tries: int = 0) -> None:
        """The program on trial is not good: the former one runs from the next start on. It may be tried so often again."""
        if not self.trial:
            return
        slot, known = self.trial, self.tries_left(self.load)
        left = tries if known < 0 else min(tries, known - 1)
        bad = [entry for entry in self.bad if entry[1] != self.load]
        bad.append([int(self.manifest(slot).get("version", 0)), self.load, max(0, left), reason[:_REASON_LENGTH_MAX]])
        self._store(trial="", bad=bad[-_BAD_MAX:])
        self.files.remove(slot + "/" + MARK)

    def _has_program(self, slot: str) -> bool:
        return self.files.size(slot + "/main.py") >= 0 or self.files.size(slot + "/main.mpy") >= 0

    def _guess(self) -> str:
        """Which slot is good where nothing says so: the newest whole one."""
        versions = [int(self.manifest(slot).get("version", 0)) for slot in _NAMES]
        if versions[0] == versions[1]:
            return "b" if self._has_program("b") and not self._has_program("a") else "a"
        return "a" if versions[0] > versions[1] else "b"

    def _take(self, data: bytes) -> None:
        """Go on with one of the two copies, if it is whole and newer."""
        text, _, check = data.rpartition(b"\n")
        try:
            if int(check, 16) != binascii.crc32(text):
                return
            number, run, trial, left, load, bad = json.loads(text)
            if number <= self.number or run not in _NAMES or trial not in ("", "b" if run == "a" else "a"):
                return
        except (ValueError, TypeError):
            return
        self.number, self.run, self.trial, self.left, self.load, self.bad = number, run, trial, left, load, bad

    def _store(self, run=None, trial=None, left=None, load=None, bad=None) -> None:  # type: ignore[no-untyped-def]
        """Remember from now on. The copy that is written is the older one."""
        number = self.number + 1
        run = self.run if run is None else run
        trial = self.trial if trial is None else trial
        left = self.left if left is None else left
        load = self.load if load is None else load
        bad = self.bad if bad is None else bad
        text = json.dumps([number, run, trial, left, load, bad]).encode()
        self.files.write("slots.%d" % (number & 1), text + b"\n%08x" % binascii.crc32(text))
        self.number, self.run, self.trial, self.left, self.load, self.bad = number, run, trial, left, load, bad


def restart() -> None:
    """Begin anew, as after power came back. Where there is no chip the process ends, and whoever started it starts it again.

    Raises:
        SystemExit: there is no chip.
    """
    try:
        from machine import reset  # type: ignore[import-not-found]  # noqa: PLC0415 - boards alone have it
    except ImportError:
        raise SystemExit(_EXIT_CODE) from None
    reset()


def boot(base: str = "", rest_s: int = 5, trial_s: int = 300) -> None:
    """Start the program of the right slot: its module `main`. What ends or fails on trial is given up for the former one.

    `rest_s` is how long to wait before a program that ended is started again, `trial_s` after how long one on trial that says
    nothing is given up, where the board has a timer that can tell (`machine.Timer`).
    """
    files = Files(base)
    slots = Slots(files)
    name = slots.start()
    if not name:
        print("there is no program in a/ or b/")  # noqa: T201 - as above
        return
    on_trial = name == slots.trial
    if on_trial:
        _set_alarm(files, trial_s)
    sys.path.insert(0, files.base + name)
    _tidy()
    reason = "it ended"
    try:
        __import__("main")
    except KeyboardInterrupt:
        raise
    except SystemExit:
        rest_s = 0  # it asks for a new start
    except BaseException as error:
        reason = "%s: %s" % (type(error).__name__, error)
        print("the program failed:", reason)  # noqa: T201 - as above
    if on_trial:
        _give_up(files, reason)
    elif rest_s:
        print("the program begins again in %d s, unless Ctrl-C is pressed" % rest_s)  # noqa: T201 - as above
        time.sleep(rest_s)
    restart()


def _tidy() -> None:
    """Let memory be collected early and often, so that what a program imports does not lie about in pieces."""
    gc.collect()
    if hasattr(gc, "mem_free"):
        gc.threshold(_GARBAGE_BYTES_MAX)  # type: ignore[attr-defined]


def _give_up(files: Files, reason: str) -> None:
    """End a trial that nobody has ended."""
    slots = Slots(files)
    if slots.trial:
        try:
            slots.fail(reason)
        except OSError as error:
            print("the flash takes nothing:", error)  # noqa: T201 - as above


def _set_alarm(files: Files, trial_s: int) -> None:
    """A program that hangs does not end by itself."""

    def ring(_timer: object) -> None:
        if Slots(files).trial:
            _give_up(files, "it said nothing for %d s" % trial_s)
            restart()

    try:
        from machine import Timer  # noqa: PLC0415 - see above
    except ImportError:
        return
    try:
        timer = Timer(-1)
    except (OSError, ValueError):
        timer = Timer(0)  # where there are no timers but those of the hardware
    timer.init(mode=Timer.ONE_SHOT, period=trial_s * 1_000, callback=ring)
