"""Lets signed messages in: each proved, from whom the access list lets publish it, and once (docs/spec/topics.md, "Signed messages")."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping

from edgematrix.access.replay import ReplayMemory, Verdict
from edgematrix.access.signed import Rule
from edgematrix.access.trust import Trust
from edgematrix.errors import SignatureError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.ports import Clock, Verifier
from edgematrix.protocol.signature import Token, detach, signed_bytes
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.observation import Dropped

__all__ = ["Gate"]

_Mark = tuple[str, str, int, int]
"""One message: the key, the topic, the epoch and the sequence."""
Handed = Callable[[str, bytes, int, bool, str], None]
"""Takes a message that is let in: topic, the bytes that were signed, QoS, whether it was retained, and whose key signed it."""

_SHOWN_MAX = 200
_EXCUSED_MAX = 1_000
"""Messages of a connection that the broker may deliver once more on the next one."""
_WAITING_MAX = 10_000
_WAITING_BYTES_MAX = 33_554_432
_PERIOD_US = 60 * SECOND_US

UNSIGNED, ALTERED, FOREIGN, EXPIRED, REPLAYED = "unsigned", "altered", "foreign", "expired", "replayed"


class Gate:
    """What stands between the bus and a session, where messages are signed. A keeper of the engine.

    A message counts once, also after a crash: so what could do harm if it came again is handed on only when it is stored that it was
    here. That is one commit for all that came meanwhile. What durable agents take is noted in the commit that holds what it led to,
    and waits for nothing.

    Args:
        trust: which topics carry signed messages, and who is believed there.
        handed: takes what is let in.
        is_kept: whether what comes on a topic is committed with all that it leads to.
        hurry: called where a message waits for the next commit; None where nothing is stored, so that nothing waits.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        verifier: Verifier,
        trust: Trust,
        *,
        handed: Handed,
        is_kept: Callable[[str], bool],
        hurry: Callable[[], None] | None,
    ) -> None:
        self.trust = trust
        self._engine = engine
        self._clock = clock
        self._verifier = verifier
        self._handed = handed
        self._is_kept = is_kept
        self._hurry = hurry
        self._memory = ReplayMemory(self._touch)
        self._useless: list[str] = []
        self._is_touched = False
        self._waiting: deque[tuple[str, bytes, int, bool, str]] = deque()
        self._waiting_bytes = 0
        self._came = self._went = self._covered = 0
        """How many have had to wait so far, how many wait no more, and how many of them were noted in the newest commit."""
        self._at_hand: _Mark | None = None
        """The message that is being handed on."""
        self._put_off: dict[int, _Mark] = {}
        self._recent: deque[_Mark] = deque(maxlen=_EXCUSED_MAX)
        self._excused: set[_Mark] = set()
        self.refused: Counter[str] = Counter()
        """How many messages were not let in, by the kind of reason."""
        self.repeated_count = 0
        """How many the broker delivered a second time, on another connection."""
        self.taken_count = 0
        self._period_us = 0
        self._letters = 0
        self._untold = 0

    # What comes in

    def guards(self, topic: str) -> bool:
        """Whether what comes on a topic has to be signed."""
        return self.trust.topics.rule(topic) is not Rule.NONE

    def take(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Judge a message that came on such a topic, and hand it on now or later, or not at all."""
        rule = self.trust.topics.rule(topic)
        if not payload and rule in (Rule.NEWEST, Rule.STANDING):
            self._refuse(topic, payload, UNSIGNED, "", is_told=False)  # that something retained is gone cannot be signed
            return
        try:
            body, token = detach(payload)
        except SignatureError as error:
            self._refuse(topic, payload, UNSIGNED, error.what)
            return
        name = self._proved(topic, body, token, payload)
        if name is None:
            return
        waits = rule in (Rule.ONCE, Rule.NEWEST) and self._hurry is not None and not (qos and self._is_kept(topic))
        if waits and not self._has_room(body):
            self.refused["no room"] += 1
            reason = f"more than {_WAITING_MAX} signed messages wait to be noted: nothing can be stored"
            self._engine.observe(Dropped(self._clock.now_us(), self._engine.matrix, topic, reason))
            return
        if not self._counts(topic, rule, token, qos, payload):
            return
        self.taken_count += 1
        if not waits:
            self._at_hand = _mark_of(topic, token)
            self._handed(topic, body, qos, retained, name)
            self._at_hand = None
            return
        self._came += 1
        self._waiting.append((topic, body, qos, retained, name))
        self._waiting_bytes += len(body)
        self._touch()
        assert self._hurry is not None  # noqa: S101 - `waits` tells
        self._hurry()

    def linked(self) -> None:
        """There is a new connection: the broker may deliver again what it does not know to have arrived on the one before."""
        self._excused = set(self._recent)
        self._recent.clear()

    def unlinked(self) -> None:
        """The connection is gone, and what was put off with it: the broker delivers it again."""
        self._put_off.clear()

    def put_off(self, message: object) -> None:
        """The message that is being handed on is not taken now, and the broker keeps it: it was not here yet."""
        if self._at_hand is not None:
            self._memory.forget(*self._at_hand)
            self._put_off[id(message)] = self._at_hand

    def take_up(self, message: object) -> None:
        """A message that was put off is taken now."""
        mark = self._put_off.pop(id(message), None)
        if mark is not None:
            self._memory.take(*mark)

    def refuse_source(self, topic: str, payload: bytes, name: str, source: str) -> None:
        """What was signed by somebody who may publish it names a source that is not theirs."""
        self._refuse(topic, payload, FOREIGN, f"it is signed by {name}, who may not speak for /{source}")

    # What is stored

    @property
    def store_key(self) -> str:
        """Under which it is stored what was here."""
        return ReplayMemory.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call."""
        self._is_touched = False
        self._covered = self._came
        useless, self._useless = self._useless, []
        return dict.fromkeys(useless, None) | self._memory.save()

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> None:
        """Go on with what was stored."""
        self._useless = self._memory.load(parts, self._verifier, damaged)
        if self._useless:
            self._touch()

    def committed(self) -> None:
        """What was saved is stored: hand on what waited for that."""
        covered = self._covered
        while self._went < covered:
            self._went += 1
            waited = self._waiting.popleft()
            self._waiting_bytes -= len(waited[1])
            self._handed(*waited)

    # Inside

    def _proved(self, topic: str, body: bytes, token: Token, payload: bytes) -> str | None:
        """Who has signed it and may; None if it is refused."""
        stamp, verifier = token.stamp, self._verifier
        name = verifier.principal(stamp.key_id) if stamp.algorithm == verifier.algorithm else None
        if name is None:
            self._refuse(topic, payload, FOREIGN, f"it is signed with the unknown key {stamp.algorithm} {stamp.key_id}")
        elif not verifier.verify(stamp.key_id, signed_bytes(topic, stamp, body), token.signature):
            self._refuse(topic, payload, ALTERED, f"it is not what {name} has signed for this topic")
        elif not self.trust.may_publish(name, topic):
            self._refuse(topic, payload, FOREIGN, f"it is signed by {name}, who may not publish here")
        elif stamp.until_s and self._clock.wall_us() > stamp.until_s * SECOND_US:
            late_s = self._clock.wall_us() // SECOND_US - stamp.until_s
            self._refuse(topic, payload, EXPIRED, f"its signature by {name} ended {late_s} s ago, by the clock here")
        else:
            return name
        return None

    def _counts(self, topic: str, rule: Rule, token: Token, qos: int, payload: bytes) -> bool:
        """Whether it is one that was not here; that is noted."""
        stamp = token.stamp
        judge = self._memory.follow if rule in (Rule.NEWEST, Rule.STANDING) else self._memory.take
        mark = _mark_of(topic, token)
        verdict = Verdict.AGAIN if mark in self._put_off.values() else judge(*mark)
        if verdict is Verdict.NEW:
            if qos:
                self._recent.append(mark)
            return True
        if verdict is Verdict.FULL:
            self._refuse(topic, payload, REPLAYED, "more signers and topics are known than can be told apart")
        elif qos and mark in self._excused:
            self._excused.discard(mark)
            self.repeated_count += 1
        else:
            self._refuse(topic, payload, REPLAYED, f"it came before, or later than what {stamp.key_id} has signed since")
        return False

    def _has_room(self, body: bytes) -> bool:
        return len(self._waiting) < _WAITING_MAX and self._waiting_bytes + len(body) <= _WAITING_BYTES_MAX

    def _refuse(self, topic: str, payload: bytes, kind: str, reason: str, *, is_told: bool = True) -> None:
        """Count it, and keep it as a dead letter, unless there are too many."""
        self.refused[kind] += 1
        if not is_told:
            return
        engine, now_us = self._engine, self._clock.now_us()
        if now_us - self._period_us >= _PERIOD_US:
            self._period_us, self._letters = now_us, 0
        if self._letters >= engine.limits.unsigned_letters_max:
            self._untold += 1
            engine.observe(Dropped(now_us, engine.matrix, topic, f"{kind}: {reason}"))
            return
        self._letters += 1
        more, self._untold = self._untold, 0
        told = f"{kind}: {reason}" + (f" ({more} more were refused since the letter before)" if more else "")
        shown = payload[:_SHOWN_MAX].decode(errors="replace")
        engine.dead_letter(engine.matrix, topic, shown, told, now_us, Origin(raw=payload, is_refused=True))

    def _touch(self) -> None:
        if not self._is_touched:
            self._is_touched = True
            self._engine.touched.append(self)


def _mark_of(topic: str, token: Token) -> _Mark:
    return token.stamp.key_id, topic, token.stamp.epoch, token.stamp.sequence
