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
from .intake import Intake, read_manifest
from .slots import Files, Slots, restart
from .ticks import ticks_diff, ticks_ms

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from .agent import Agent
    from .sleep import Sleeper

__all__ = ["Updater"]

_TICK_MS = 250
_QUIET_MS = 3_000
_QUIET_MS_MAX = 60_000
_ASKS_MAX = 20
"""Requests in a row that nobody answers; then we wait for a connection or an offer."""
_WINDOW = 8
_HEAD_BYTES = 12
_ENOSPC = 28
_HASHES_MAX = 2
"""Whole images in a row whose hash is wrong."""
_TRIES_UNHEARD = 2
"""How often a program may be tried yet that did not reach the broker: that may not be its fault."""


class _RefusedError(Exception):
    """An offer that is not taken: a code and a sentence."""


class Updater:
    """Watches for offers as long as the agent runs. `board` is what images have to be for: the agent's path, or a name of a kind.

    A board that sleeps (`sleep.Sleeper`) stays awake while something is loaded or tried, and goes on at the next time where nobody
    answers; how it stands it says only if that has changed.
    """

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
        self._intake: "Intake | None" = None
        self._asked = self._gap = -1
        self._asks = self._hashes = self._percent = 0
        self._refused: dict = {}  # type: ignore[type-arg]
        self._leaving = False
        self._told = (b"", b"")
        self._later = b""
        self._id = ""
        self._ticking = self._tick  # one object, which `never` finds again
        agent.take("_update", self._offered)
        agent.take("_chunk", self._received)
        agent.when_ready(self._ready)
        self._sleeper: "Sleeper | None" = agent if hasattr(agent, "stay_while") else None  # type: ignore[assignment]
        self._asks_max = 1 if self._sleeper else _ASKS_MAX
        if self._sleeper:
            self._sleeper.stay_while(self._stays)
        if self._slots.trial:
            self._offer = self._slots.manifest(self._slots.trial)
            agent.every(_TICK_MS, self._ticking)
        elif self._slots.begun():
            self._resume(self._slots.begun())

    @property
    def busy(self) -> bool:
        """Whether something is being loaded or on trial: a board had better not go to sleep."""
        return bool(self._intake or self._slots.trial or self._leaving)

    def _stays(self) -> bool:
        if self._slots.trial or self._leaving:
            return True
        is_asked = self._agent.online and self._asks < self._asks_max
        waited_ms = ticks_diff(ticks_ms(), self._since)
        return self._intake is not None and (is_asked or (self._agent.online and waited_ms < _QUIET_MS))

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
        self._told = (b"", b"")  # whoever offers wants an answer, the same one too
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
        try:
            offer = read_manifest(data)
        except ValueError as error:
            raise _RefusedError("malformed", str(error)) from None
        installed = self._slots.version()
        if offer["board"] != self._board:
            raise _RefusedError("board", "it is for %s, this is %s" % (offer["board"][:40], self._board))
        if offer["version"] == installed and offer["sha256"] == self._slots.manifest(self._slots.run).get("sha256"):
            self._settle()
            return
        if offer["version"] <= installed:
            raise _RefusedError("older", "%d is not newer than %d" % (offer["version"], installed))
        digest = offer["sha256"][:16]
        if self._intake and digest == self._slots.load:
            self._begin_to_ask(self._intake)
            return
        self._stop()
        self._offer = offer
        if not self._slots.tries_left(digest):
            raise _RefusedError("failed", "%d failed here before" % offer["version"])
        if offer["chunk"] + _HEAD_BYTES > self._agent.payload_bytes_max:
            raise _RefusedError("chunk", "chunks of %d bytes, %d fit" % (offer["chunk"], self._agent.payload_bytes_max - _HEAD_BYTES))
        self._slots.begin(digest, data)
        intake = Intake(self._files, self._slots.other, offer)
        if intake.lacks_bytes:
            raise _RefusedError("room", "%d bytes more are needed" % intake.lacks_bytes)
        self._load(offer, intake)

    def _resume(self, data: bytes) -> None:
        """Go on with what was being loaded before the board stopped."""
        try:
            offer = read_manifest(data)
            self._load(offer, Intake(self._files, self._slots.other, offer))
        except (ValueError, OSError):
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

    def _load(self, offer: dict, intake: Intake) -> None:  # type: ignore[type-arg]
        self._offer, self._intake, self._refused = offer, intake, {}
        self._digest = binascii.unhexlify(offer["sha256"][:16])
        self._percent = 0
        self._agent.every(_TICK_MS, self._ticking)
        self._begin_to_ask(intake)

    def _begin_to_ask(self, intake: Intake) -> None:
        self._asks = 0
        self._ask_from(intake)

    def _ask_from(self, intake: Intake) -> None:
        """Ask for what follows what is there, whatever was asked for before."""
        self._asked = self._gap = intake.at
        self._ask(intake)

    def _ask(self, intake: Intake) -> None:
        """Ask for the next chunks. An answer that does not come is asked for again by `_tick`."""
        self._since = ticks_ms()
        chunk = self._offer["chunk"]
        count = min(_WINDOW, (intake.size - self._asked + chunk - 1) // chunk)
        if count > 0 and self._agent.online:
            wish = {"at": self._asked, "count": count, "id": self._slots.load}
            self._asked += count * chunk
            self._agent.tell("out", "_update", json.dumps(wish).encode())

    def _received(self, payload: bytes, retained: bool) -> None:
        intake = self._intake
        if not intake or retained or payload[:8] != self._digest or len(payload) <= _HEAD_BYTES:
            return
        at, data, chunk = int.from_bytes(payload[8:12], "big"), memoryview(payload)[_HEAD_BYTES:], self._offer["chunk"]
        if at != intake.at or len(data) != min(chunk, intake.size - at):
            if at > intake.at and self._gap != intake.at:
                # One was lost. What else is under way is dropped as it comes.
                self._ask_from(intake)
            return
        try:
            intake.write(data)
        except OSError as error:
            self._broken(error)
            self._tell()
            return
        except ValueError:
            self._wrong(intake)
            return
        self._asks = 0
        self._since = ticks_ms()
        if self._asked - intake.at <= _WINDOW // 2 * chunk:
            self._ask(intake)
        percent = intake.at * 100 // intake.size
        if percent // 10 != self._percent // 10:
            self._percent = percent
            self._tell()

    def _stop(self) -> None:
        """Load no more."""
        intake, self._intake = self._intake, None
        if intake:
            try:
                intake.close()
            except OSError:
                pass
        self._agent.never(self._ticking)

    def _complete(self, intake: Intake) -> None:
        """All is there. What counts is what can be read back."""
        if intake.is_right():
            self._slots.loaded()
            self._leaving = True
            self._tell()
        else:
            self._wrong(intake)

    def _wrong(self, intake: Intake) -> None:
        """Other bytes came than were signed."""
        self._hashes += 1
        intake.clear()
        if self._hashes < _HASHES_MAX:
            self._begin_to_ask(intake)
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
        elif self._intake:
            try:
                self._go_on(self._intake)
            except OSError as error:
                self._broken(error)
                self._tell()

    def _go_on(self, intake: Intake) -> None:
        if intake.at >= intake.size:
            self._complete(intake)
        elif self._agent.online and self._asks < self._asks_max:
            patience_ms = min(_QUIET_MS_MAX, _QUIET_MS << min(self._asks, 8))
            if ticks_diff(ticks_ms(), self._since) >= patience_ms:
                self._asks += 1
                self._ask_from(intake)

    def _try(self) -> None:
        """The program on trial is this one. It is good when the broker has heard it and the application is content."""
        if self._agent.settled and self._is_content() and self._confirmed():
            self._settle()
            if self._later:
                self._offered(self._later, True)
                self._later = b""
            self._tell()
        elif ticks_diff(ticks_ms(), self._since) >= self._trial_ms:
            self._leaving = True
            if self._agent.online:
                self._slots.fail("it was not content in %d s" % (self._trial_ms // 1_000))
            else:
                self._slots.fail("it did not reach the broker in %d s" % (self._trial_ms // 1_000), _TRIES_UNHEARD)

    def _confirmed(self) -> bool:
        """Whether it could be written down; else it is given up in time."""
        try:
            self._slots.confirm()
        except OSError:
            return False
        return True

    def _is_content(self) -> bool:
        try:
            return self._ok is None or bool(self._ok())
        except Exception:
            return False

    # What is told

    def _ready(self) -> None:
        sleeper = self._sleeper
        if not (sleeper and sleeper.resumed and sleeper.memory.get("_update") == self._slots.number):
            self._told = (b"", b"")
            self._tell()
        if self._intake:
            self._begin_to_ask(self._intake)

    def _tell(self) -> None:
        """Say on two retained topics how it stands: to Home Assistant, whose fields are the only ones it takes, and to us."""
        about = self._offer or self._slots.manifest(self._slots.run)
        installed, running = self._slots.version(), self._slots.trial or self._slots.run
        phase = "trial" if self._slots.trial else "loading" if self._intake else "idle"
        shown = {"installed_version": str(installed), "latest_version": str(about.get("version", installed))}
        shown["title"] = str(about.get("title", self._board))[:64]
        shown["release_summary"] = str(about.get("summary", ""))[:255]
        shown["in_progress"] = phase != "idle"  # type: ignore[assignment]
        shown["update_percentage"] = self._intake.at * 100 // self._intake.size if self._intake else None  # type: ignore[assignment]
        told = {"v": 1, "board": self._board, "version": installed, "slot": running, "phase": phase, "refused": self._refused or None}
        told["offered"], told["offer"] = self._offer.get("version"), self._id
        told["digest"] = self._slots.manifest(self._slots.run).get("sha256", "")[:16]
        told["payload_max"] = self._agent.payload_bytes_max
        told["failed"] = [[entry[0], entry[3]] for entry in self._slots.bad[-3:]]
        both = (json.dumps(shown).encode(), json.dumps(told).encode())
        if both[0] != self._told[0]:
            self._say("_update", both[0])
        if both[1] != self._told[1]:
            self._say("_firmware", both[1])
        self._told = both
        if self._sleeper:
            self._sleeper.memory["_update"] = self._slots.number

    def _say(self, name: str, payload: bytes) -> None:
        try:
            self._agent.tell("state", name, payload, 1, True)
        except ValueError:
            pass  # a packet too small for it; `packet_bytes_max` is the board's choice
