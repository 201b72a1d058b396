"""Answers operators who look at dead letters, and does what they ask for (docs/spec/topics.md, `op`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from edgematrix.errors import CodecError, EdgeMatrixError, PathError, QueueFullError, RunError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.account import Account
from edgematrix.runtime.dead_letter import Form, Letter
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.observation import Dropped, Noted
from edgematrix.runtime.order import Dead, Order
from edgematrix.runtime.redelivery import hand_in, plan

__all__ = ["DeadDesk"]

_PART_BYTES_MAX = 100_000
"""An answer that is longer comes in parts."""
_ENDS_LENGTH_MIN = 4
"""Characters of an id that are enough, if they are unique."""
_NAMED_MAX = 5
_WAITING_MAX = 20
"""Retries, each of any number of letters, that wait for their turn."""
_TURN_MAX = 50
"""Letters that are handed in before other work has its turn."""
_TURN_US = SECOND_US // 50
_SECOND_MAX = 20
"""Questions that are answered within a second."""


class _Retry(msgspec.Struct):
    """A retry that is under way: which letters wait, and what became of the others."""

    order: Order
    unknown: list[str]
    waiting: deque[str]
    told: list[Account]


class DeadDesk:
    """Lists, shows, retries and drops the dead letters of a host. A listener, and a timer, of the engine.

    Args:
        host: its name, from which its answers come.
        front: where orders come in and answers go out; None makes one without a log.
    """

    order = 0

    def __init__(self, engine: Engine, *, host: str, front: FrontDesk | None = None) -> None:
        self._engine = engine
        self._letters = engine.letters
        self._front = FrontDesk(engine, host) if front is None else front
        self.agent = engine.matrix
        self.filter = f"{engine.root}/{Kind.OP}/+/dead/{engine.matrix}/#"
        """What a host subscribes to."""
        self._retries: deque[_Retry] = deque()
        self._due_us: int | None = None
        self._second_us = 0
        self._second_count = 0
        engine.listen(TopicFilter.parse(self.filter), self)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take what an operator asks for."""
        order = self._front.order_of(message, now_us)
        if order is None:
            return
        changes = isinstance(order.asked, Dead) and order.asked.do in ("retry", "drop")
        self._front.admit(order, lambda now_us: self._carry_out(order, now_us), now_us, changes=changes)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._due_us

    def due(self, due_us: int, now_us: int) -> None:
        """Hand some letters in: outside any message, so that what becomes of them at once is known."""
        if due_us != self._due_us:
            return
        self._due_us = None
        retry = self._retries[0]
        for _ in range(min(_TURN_MAX, len(retry.waiting))):
            retry.told.append(self._retried(retry.waiting.popleft(), retry.order.by, now_us))
        if not retry.waiting:
            self._retries.popleft()
            self._answer(retry.order, retry.told, {"unknown": retry.unknown}, now_us)
        self._look(now_us + _TURN_US)

    # Inside

    def _carry_out(self, order: Order, now_us: int) -> None:
        try:
            self._do(order, now_us)
        except EdgeMatrixError as error:
            self._front.refused(order, error, now_us, {"last": True})

    def _do(self, order: Order, now_us: int) -> None:
        asked = order.asked
        assert isinstance(asked, Dead)  # noqa: S101 - the filter lets no other verb through
        self._check_pace(now_us)
        if asked.do == "list":
            letters = list(self._letters.of(order.path))
            about: Account = {"total": len(letters), "forgotten": self._letters.forgotten_count}
            self._answer(order, map(self._summary, letters[: asked.newest]), about, now_us)
            return
        found, unknown = self._meant(order.path, asked)
        about = {"unknown": unknown}
        if asked.do == "show":
            self._answer(order, map(self._whole, found), about, now_us)
        elif asked.do == "drop":
            self._answer(order, [self._dropped(letter, order.by, now_us) for letter in found], about, now_us)
        elif len(self._retries) >= _WAITING_MAX:
            raise QueueFullError(f"{_WAITING_MAX} retries wait already", remedy="try again later")
        else:
            oldest_first = sorted(found, key=lambda letter: letter.at_us) if asked.all else found
            self._retries.append(_Retry(order, unknown, deque(letter.id for letter in oldest_first), []))
            self._look(now_us)

    def _meant(self, path: AgentPath, asked: Dead) -> tuple[list[Letter], list[str]]:
        """The letters that are meant, and the ids that no letter here has.

        Raises:
            PathError: none is said, none is known, or several have such an id.
        """
        letters = list(self._letters.of(path))
        if asked.all:
            return letters, []
        if not asked.meant:
            raise PathError(f"{asked.do} which dead letters?", remedy='say `id` or `ids`, or "all": true')
        found: dict[str, Letter] = {}
        unknown: list[str] = []
        for text in asked.meant:
            letter = _one(letters, text)
            if letter is None:
                unknown.append(text)
            else:
                found[letter.id] = letter
        if not found:
            named = ", ".join(text[:80] for text in unknown[:_NAMED_MAX])
            raise PathError(f"no dead letter {named} is kept here", remedy="`edgematrix dead list` tells those that are")
        return list(found.values()), unknown

    def _retried(self, letter_id: str, by: str, now_us: int) -> Account:
        letter = self._letters.get(letter_id)
        if letter is None:
            return {"id": letter_id, "outcome": "gone", "reason": "it was dropped, or gave way to newer ones, meanwhile"}
        about: Account = {"id": letter_id, "agent": letter.agent, "topic": letter.topic}
        engine = self._engine
        try:
            again = plan(engine, letter)
        except RunError as error:
            return about | {"outcome": "refused", "reason": error.what, "remedy": error.remedy}
        text = f"the dead letter {letter_id} is retried by {by} (retry {letter.retries + 1}): {again.text}"
        engine.observe(Noted(now_us, AgentPath(letter.agent), again.trail.runid, text))
        hand_in(engine, letter, again, now_us)
        died = self._letters.get(letter_id)
        if died is not None:
            return about | {"outcome": "died", "reason": died.reason, "retries": died.retries}
        return about | {"outcome": "handed_in", "how": again.text}

    def _dropped(self, letter: Letter, by: str, now_us: int) -> Account:
        self._letters.remove(letter)
        self._engine.observe(Dropped(now_us, letter.agent, letter.topic, f"the dead letter {letter.id} was dropped by {by}"))
        return {"id": letter.id, "agent": letter.agent, "topic": letter.topic, "outcome": "dropped"}

    def _look(self, due_us: int) -> None:
        if self._retries and self._due_us is None:
            self._due_us = due_us
            self._engine.schedule(self, due_us)

    def _check_pace(self, now_us: int) -> None:
        if now_us - self._second_us >= SECOND_US:
            self._second_us, self._second_count = now_us, 0
        self._second_count += 1
        if self._second_count > _SECOND_MAX:
            raise QueueFullError(f"more than {_SECOND_MAX} questions within a second", remedy="ask more slowly")

    # Answers

    def _summary(self, letter: Letter) -> Account:
        trail = letter.trail
        known = {"run": trail.runid, "hops": trail.hops, "taint": trail.taint, "source": letter.source}
        about: Account = {
            "id": letter.id,
            "agent": letter.agent,
            "topic": letter.topic,
            "reason": letter.reason,
            "at": format_moment(letter.at_us),
            "retries": letter.retries,
            "size_bytes": letter.size_bytes,
            **{name: value for name, value in known.items() if value},
        }
        return about | ({"cut": True} if letter.form is Form.CUT else {})

    def _whole(self, letter: Letter) -> Account:
        """A letter with its payload, and how it would be handed in again."""
        about = self._summary(letter) | _payload(letter)
        try:
            return about | {"retry": {"how": plan(self._engine, letter).text}}
        except RunError as error:
            return about | {"retry": {"refused": error.what, "remedy": error.remedy}}

    def _answer(self, order: Order, letters: Iterable[Account], about: Account, now_us: int) -> None:
        """Answer in parts, of which there is at least one."""
        parts = list(_parts(letters)) or [[]]
        answers = [{"done": True, **about, "letters": part, "last": number == len(parts)} for number, part in enumerate(parts, 1)]
        self._front.done(order, answers, now_us)


def _one(letters: Iterable[Letter], text: str) -> Letter | None:
    """The letter whose id this is, or begins or ends so.

    Raises:
        PathError: several do.
    """
    letters = list(letters)
    exact = next((letter for letter in letters if letter.id == text), None)
    if exact is not None or len(text) < _ENDS_LENGTH_MIN:
        return exact
    found = [letter for letter in letters if letter.id.startswith(text) or letter.id.endswith(text)]
    if len(found) > 1:
        named = ", ".join(letter.id for letter in found[:_NAMED_MAX])
        raise PathError(f"{len(found)} dead letters have an id like {text[:80]}: {named}", remedy="give more of the id")
    return found[0] if found else None


def _payload(letter: Letter) -> dict[str, Any]:
    """The payload in a form that an answer can hold."""
    value = letter.payload()
    if isinstance(value, bytes):
        from base64 import b64encode  # noqa: PLC0415 - payloads that are no text are rare

        return {"payload_base64": b64encode(value).decode()}
    try:
        encode_value(value)
    except CodecError:
        return {"payload": repr(value)}  # such as an infinite mean
    return {"payload": value}


def _parts(accounts: Iterable[Account]) -> Iterator[list[Account]]:
    part: list[Account] = []
    size_bytes = 0
    for account in accounts:
        account_bytes = len(encode_value(account))
        if part and size_bytes + account_bytes > _PART_BYTES_MAX:
            yield part
            part, size_bytes = [], 0
        part.append(account)
        size_bytes += account_bytes
    if part:
        yield part
