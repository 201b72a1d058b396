"""New programs over the air: a signed manifest is offered, the image is pulled in chunks, tried, and kept or given up.

    agent = Agent("home/greenhouse/board", "192.168.1.10")
    updater = Updater(agent, "greenhouse", ok=lambda: sensor.reads())

What comes and goes is in docs/spec/firmware.md, what is written where in `slots`. `ok` is asked on trial, when the broker has
taken the new program in; as long as it is not true the trial goes on, for `trial_s` at most.
"""

import binascii
import hashlib
import json

from . import proof
from .slots import Files, Slots, restart
from .ticks import ticks_diff, ticks_ms

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from .agent import Agent

__all__ = ["Updater"]

_TICK_MS = 250
_QUIET_MS = 3_000
_QUIET_MS_MAX = 60_000
_ASKS_MAX = 20
"""Requests in a row that nobody answers; then we wait for a connection or an offer."""
_WINDOW = 8
_FLUSH_BYTES = 4_096
_HEAD_BYTES = 12
_FILES_MAX = 64
_BLOCK_BYTES = 4_096
_ENOSPC = 28
_HASHES_MAX = 2
"""Whole images in a row whose hash is wrong."""
_TRIES_UNHEARD = 2
"""How often a program may be tried yet that did not reach the broker: that may not be its fault."""


class _RefusedError(Exception):
    """An offer that is not taken: a code and a sentence."""


class Updater:
    """Watches for offers as long as the agent runs. `board` is what images have to be for: the agent's path, or a name of a kind."""

    def __init__(
        self,
        agent: "Agent",
        board: str = "",
        *,
        ok: "Callable[[], object] | None" = None,
        keys: str = "update.keys",
        files: "Files | None" = None,
        trial_s: int = 120,
        restart: "Callable[[], object]" = restart,
    ) -> None:
        self._agent = agent
        self._board = board or agent.path
        self._ok = ok
        self._keys = keys
        self._files = files or Files()
        self._slots = Slots(self._files)
        self._restart = restart
        self._trial_ms = trial_s * 1_000
        self._since = ticks_ms()
        self._offer: dict = {}  # type: ignore[type-arg]  # the manifest that is being loaded, or was refused as one that is ours
        self._digest = b""
        self._size = self._at = self._asked = self._gap = -1
        self._asks = self._hashes = self._percent = 0
        self._file: "BinaryIO | None" = None
        self._unsynced = 0
        self._refused: dict = {}  # type: ignore[type-arg]
        self._leaving = False
        self._told = (b"", b"")
        self._later = b""
        self._id = ""
        self._ticking = self._tick  # one object, which `never` finds again
        agent.take("_update", self._offered)
        agent.take("_chunk", self._received)
        agent.when_ready(self._ready)
        if self._slots.trial:
            self._offer = self._slots.manifest(self._slots.trial)
            agent.every(_TICK_MS, self._ticking)
        elif self._slots.begun():
            self._resume(self._slots.begun())

    @property
    def busy(self) -> bool:
        """Whether something is being loaded or on trial: a board had better not go to sleep."""
        return bool(self._size >= 0 or self._slots.trial or self._leaving)

    # Offers

    def _offered(self, payload: bytes, _retained: bool) -> None:
        if self._leaving:
            return
        try:
            if self._slots.trial:
                self._later = payload
                return
            self._id = binascii.hexlify(hashlib.sha256(payload).digest()[:4]).decode()
            if payload:
                self._consider(self._proven(payload))
            else:
                self._settle()
        except _RefusedError as error:
            self._refuse(error.args[0], error.args[1])
        except OSError as error:
            self._broken(error)
        self._tell()

    def _proven(self, payload: bytes) -> bytes:
        """The manifest of an offer that somebody has signed whom we believe."""
        size = int.from_bytes(payload[1:3], "big")
        rest = payload[3 + size :]
        if payload[0] != 1 or len(rest) < 11 or len(rest) != 11 + int.from_bytes(rest[9:11], "big"):
            raise _RefusedError("cut", "the offer is cut, or of another form")
        data, key = payload[3 : 3 + size], binascii.hexlify(rest[1:9]).decode()
        if not rest[0]:
            raise _RefusedError("unsigned", "the offer is not signed")
        try:
            good = proof.is_proof(self._files.read(self._keys), rest[0], key, data, rest[11:])
        except ValueError:
            raise _RefusedError("key", "the file %s is damaged" % self._keys) from None
        if good is None:
            raise _RefusedError("key", "the key %s is not known here" % key)
        if not good:
            raise _RefusedError("signature", "the signature is wrong")
        return data

    def _consider(self, data: bytes) -> None:
        offer = _read(data)
        installed = self._slots.version()
        if offer["board"] != self._board:
            raise _RefusedError("board", "it is for %s, this is %s" % (offer["board"][:40], self._board))
        if offer["version"] == installed and offer["sha256"] == self._slots.manifest(self._slots.run).get("sha256"):
            self._settle()
            return
        if offer["version"] <= installed:
            raise _RefusedError("older", "%d is not newer than %d" % (offer["version"], installed))
        digest = offer["sha256"][:16]
        if self._size >= 0 and digest == self._slots.load:
            self._begin_to_ask()
            return
        self._stop()
        self._offer = offer
        if not self._slots.tries_left(digest):
            raise _RefusedError("failed", "%d failed here before" % offer["version"])
        if offer["chunk"] + _HEAD_BYTES > self._agent.payload_bytes_max:
            raise _RefusedError("chunk", "chunks of %d bytes, %d fit" % (offer["chunk"], self._agent.payload_bytes_max - _HEAD_BYTES))
        self._slots.begin(digest, data)
        room, needed = self._files.room(), offer["size"] + _BLOCK_BYTES * (len(offer["files"]) + 2)
        if 0 <= room < needed - max(0, _there(self._files, self._slots.other, offer)):
            raise _RefusedError("room", "%d bytes are free, it needs %d" % (room, needed))
        self._load(offer)

    def _resume(self, data: bytes) -> None:
        """Go on with what was being loaded before the board stopped."""
        try:
            self._load(_read(data))
        except (_RefusedError, OSError):
            self._stop()

    def _settle(self) -> None:
        """There is nothing to be done."""
        self._stop()
        self._offer, self._refused = {}, {}

    def _broken(self, error: OSError) -> None:
        self._stop()
        self._refuse("room" if error.args and error.args[0] == _ENOSPC else "flash", "it cannot be written: %s" % error)

    def _refuse(self, code: str, reason: str) -> None:
        version = self._offer.get("version", 0) if code in ("failed", "chunk", "room", "hash", "flash") else 0
        self._refused = {"code": code, "reason": reason[:100], "version": version}

    # Loading

    def _load(self, offer: dict) -> None:  # type: ignore[type-arg]
        self._offer, self._refused = offer, {}
        self._digest = binascii.unhexlify(offer["sha256"][:16])
        self._size, self._at = offer["size"], _there(self._files, self._slots.other, offer)
        self._percent = 0
        self._agent.every(_TICK_MS, self._ticking)
        self._begin_to_ask()

    def _begin_to_ask(self) -> None:
        self._asks = 0
        self._asked = self._gap = self._at
        self._ask()

    def _ask(self) -> None:
        """Ask for the next chunks. An answer that does not come is asked for again by `_tick`."""
        self._since = ticks_ms()
        if self._at >= self._size or not self._agent.online:
            return
        chunk = self._offer["chunk"]
        count = min(_WINDOW, (self._size - self._asked + chunk - 1) // chunk)
        if count > 0:
            wish = {"at": self._asked, "count": count, "id": self._slots.load}
            self._asked += count * chunk
            self._agent.tell("out", "_update", json.dumps(wish).encode())

    def _received(self, payload: bytes, retained: bool) -> None:
        if self._size < 0 or retained or payload[:8] != self._digest or len(payload) <= _HEAD_BYTES:
            return
        at, data = int.from_bytes(payload[8:12], "big"), memoryview(payload)[_HEAD_BYTES:]
        if at != self._at or len(data) != min(self._offer["chunk"], self._size - at):
            if at > self._at and self._gap != self._at:
                # One was lost. What else is under way is dropped as it comes.
                self._gap = self._asked = self._at
                self._ask()
            return
        try:
            self._write(data)
        except OSError as error:
            self._broken(error)
            self._tell()
            return
        self._asks = 0
        self._since = ticks_ms()
        if self._asked - self._at <= _WINDOW // 2 * self._offer["chunk"] and self._asked < self._size:
            self._ask()
        percent = self._at * 100 // self._size
        if percent // 10 != self._percent // 10:
            self._percent = percent
            self._tell()

    def _write(self, data: memoryview) -> None:
        """Put bytes to the end of what is there, into one file after the other."""
        start = 0
        for name, size in self._offer["files"]:
            end = start + size
            if start <= self._at < end:
                count = min(len(data), end - self._at)
                file = self._file = self._file or _opened(self._files, self._slots.other + "/" + name, self._at - start)
                file.write(data[:count])
                self._at += count
                self._unsynced += count
                if self._at == end:
                    self._shut()
                elif self._unsynced >= _FLUSH_BYTES:
                    self._files.sync(file)
                    self._unsynced = 0
                data = data[count:]
                if not data:
                    return
            start = end

    def _shut(self) -> None:
        file, self._file = self._file, None
        self._unsynced = 0
        if file is not None:
            try:
                self._files.sync(file)
            finally:
                file.close()

    def _stop(self) -> None:
        """Load no more."""
        try:
            self._shut()
        except OSError:
            pass
        self._size = -1
        self._agent.never(self._ticking)

    def _complete(self) -> None:
        """All is there. What counts is what can be read back."""
        for name, size in self._offer["files"]:
            if not size:
                _opened(self._files, self._slots.other + "/" + name, 0).close()
        if _hash(self._files, self._slots.other, self._offer) == self._offer["sha256"]:
            self._slots.loaded()
            self._leaving = True
            self._tell()
            return
        self._hashes += 1
        for name, _ in self._offer["files"]:
            self._files.remove(self._slots.other + "/" + name)
        self._at = 0
        if self._hashes < _HASHES_MAX:
            self._begin_to_ask()
        else:
            self._hashes = 0
            self._stop()
            self._refuse("hash", "what came is not what was signed")
        self._tell()

    # What is due

    def _tick(self) -> None:
        if self._leaving:
            self._agent.close()
            self._restart()
        elif self._slots.trial:
            self._try()
        elif self._size >= 0:
            try:
                self._go_on()
            except OSError as error:
                self._broken(error)
                self._tell()

    def _go_on(self) -> None:
        if self._at >= self._size:
            self._complete()
        elif self._agent.online and self._asks < _ASKS_MAX:
            patience_ms = min(_QUIET_MS_MAX, _QUIET_MS << min(self._asks, 8))
            if ticks_diff(ticks_ms(), self._since) >= patience_ms:
                self._asks += 1
                self._asked = self._gap = self._at
                self._ask()

    def _try(self) -> None:
        """The program on trial is this one. It is good when the broker has heard it and the application is content."""
        if self._agent.settled and (self._ok is None or self._ok()):
            self._slots.confirm()
            self._settle()
            if self._later:
                self._offered(self._later, True)
                self._later = b""
            self._tell()
        elif ticks_diff(ticks_ms(), self._since) >= self._trial_ms:
            if self._agent.online:
                self._slots.fail("it was not content in %d s" % (self._trial_ms // 1_000))
            else:
                self._slots.fail("it did not reach the broker in %d s" % (self._trial_ms // 1_000), _TRIES_UNHEARD)
            self._leaving = True

    # What is told

    def _ready(self) -> None:
        self._told = (b"", b"")
        self._tell()
        if self._size >= 0:
            self._begin_to_ask()

    def _tell(self) -> None:
        """Say on two retained topics how it stands: to Home Assistant, whose fields are the only ones it takes, and to us."""
        about = self._offer or self._slots.manifest(self._slots.run)
        installed, running = self._slots.version(), self._slots.trial or self._slots.run
        phase = "trial" if self._slots.trial else "loading" if self._size >= 0 else "idle"
        shown = {"installed_version": str(installed), "latest_version": str(about.get("version", installed))}
        shown["title"] = str(about.get("title", self._board))[:64]
        shown["release_summary"] = str(about.get("summary", ""))[:255]
        shown["in_progress"] = phase != "idle"  # type: ignore[assignment]
        shown["update_percentage"] = self._at * 100 // self._size if self._size > 0 else None  # type: ignore[assignment]
        told = {"v": 1, "board": self._board, "version": installed, "slot": running, "phase": phase, "refused": self._refused or None}
        told["percent"] = shown["update_percentage"]
        told["offered"], told["offer"] = self._offer.get("version"), self._id
        told["digest"] = self._slots.manifest(self._slots.run).get("sha256", "")[:16]
        told["payload_max"] = self._agent.payload_bytes_max
        told["failed"] = [[entry[0], entry[3]] for entry in self._slots.bad[-3:]]
        both = (json.dumps(shown).encode(), json.dumps(told).encode())
        for number, name in enumerate(("_update", "_firmware")):
            if both[number] != self._told[number]:
                self._say(name, both[number])
        self._told = both

    def _say(self, name: str, payload: bytes) -> None:
        try:
            self._agent.tell("state", name, payload, 1, True)
        except ValueError:
            pass  # a packet too small for it; `packet_bytes_max` is the board's choice


def _read(data: bytes) -> dict:  # type: ignore[type-arg]
    """A manifest whose fields are what they have to be."""
    try:
        offer = json.loads(data)
        total, names = 0, []
        for name, size in offer["files"]:
            total += size
            names.append(name)
            if size < 0 or not _is_name(name):
                raise _RefusedError("malformed", "a file %s" % str(name)[:40])
        numbers = offer["version"], offer["size"], offer["chunk"], total
        good = all(isinstance(number, int) and number > 0 for number in numbers)
        good = good and total == offer["size"] and 64 <= offer["chunk"] <= 16_384
        good = good and isinstance(offer["board"], str) and len(binascii.unhexlify(offer["sha256"])) == 32 and len(names) <= _FILES_MAX
        if good and ("main.py" in names or "main.mpy" in names):
            return offer  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError):
        pass
    raise _RefusedError("malformed", "the manifest is not as it has to be")


def _is_name(name: str) -> bool:
    parts = name.split("/")
    if len(name) > 64 or len(parts) > 4:
        return False
    for part in parts:
        if not part or part[0] == "." or any(not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "_-.") for c in part):
            return False
    return True


def _there(files: Files, slot: str, offer: dict) -> int:  # type: ignore[type-arg]
    """How many bytes of an image are there already: whole files, and the beginning of one."""
    count = 0
    for name, size in offer["files"]:
        found = max(0, files.size(slot + "/" + name))
        if found < size:
            return count + found
        count += size
    return count


def _opened(files: Files, name: str, at: int):  # type: ignore[no-untyped-def]
    """A file to be gone on with at this place; what it had is there already."""
    if "/" in name:
        files.make_folder(name.rpartition("/")[0])
    return files.open(name, "ab" if at else "wb")


def _hash(files: Files, slot: str, offer: dict) -> str:  # type: ignore[type-arg]
    """SHA-256 of all that is there, in order."""
    whole, buffer = hashlib.sha256(), bytearray(512)
    view = memoryview(buffer)
    for name, size in offer["files"]:
        if files.size(slot + "/" + name) != size:
            return ""
        file = files.open(slot + "/" + name, "rb")
        try:
            while True:
                count = file.readinto(buffer)  # type: ignore[attr-defined]
                if not count:
                    break
                whole.update(view[:count])
        finally:
            file.close()
    return binascii.hexlify(whole.digest()).decode()
