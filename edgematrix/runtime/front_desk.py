"""Where operators' orders come in, and where their answers go out: both pass by the audit log, where the host has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from edgematrix.access.audit import Fact, Outcome, shortened
from edgematrix.errors import ConfigError, EdgeMatrixError, RunError
from edgematrix.protocol.message import Message
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.account import Account
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.order import Order, read_operation
from edgematrix.runtime.outbound import Outbound

if TYPE_CHECKING:
    from edgematrix.runtime.audit_gate import AuditGate

__all__ = ["CarryOut", "FrontDesk", "reply_topic"]

CarryOut = Callable[[int], None]
"""Carries an order out at the moment that it is given, microseconds of the host's timeline."""

_ISSUES_TOLD_MAX = 5
_NO_SESSION = "session"


def reply_topic(root: str, host: str, order: Order) -> str:
    """Where the answer to an order goes: below whoever asked, so that nobody has it sent to somebody else.

    An operator is who the order's topic says, which the broker proves. An agent's path stands there with `:` for `/`, which no operator's
    name begins with.
    """
    return topic_for(root, Kind.REPLY, f"{host}/{order.by.replace('/', ':')}/{order.session}")


class FrontDesk:
    """Lets orders in, and says what came of them.

    What changes something is written to the log before it is carried out, and what came of it before the answer leaves. What only
    looks is written when the answer is known, before it leaves. Agents' orders (`ctl`) are no operator's, and are not logged.

    Args:
        host: its name, from which the answers come.
    """

    def __init__(self, engine: Engine, host: str) -> None:
        self._engine = engine
        self._host = host
        self._head = f"{engine.root}/{Kind.OP}/"
        self.gate: AuditGate | None = None
        """Where the orders of operators are logged; None where they are not, as in a simulation."""
        self.now_us: Callable[[], int] = lambda: 0
        """The host's time; needed where there is a gate."""

    def order_of(self, message: Message, now_us: int) -> Order | None:
        """What an operator asks for; None where it cannot be read, which is told."""
        try:
            return read_operation(message, self._engine.root)
        except EdgeMatrixError as error:
            self.unread(message, error, now_us)
            return None

    def admit(self, order: Order, carry_out: CarryOut, now_us: int, *, changes: bool = True) -> None:
        """Carry an order out, now or when it is logged; one that came too late, or cannot be logged, is refused."""
        gate, expiry_us = self._gate_of(order.topic), order.trail.expiry_us
        if gate is not None and not gate.has_room(order.by):
            self._refuse(order, "too many orders within a second", "ask more slowly", {}, now_us)
        elif expiry_us is not None and expiry_us <= now_us:
            self.refused(order, RunError("it came too late: its expirytime has passed", remedy="ask again; or a clock is wrong"), now_us)
        elif gate is None or not changes:
            carry_out(now_us)
        else:
            gate.write(self._fact(order, Outcome.BEGUN), lambda number, error: self._logged(order, carry_out, number, error))

    def done(self, order: Order, answers: Iterable[Account], now_us: int) -> None:
        """Say that it was done: a message for each of the answers."""
        told = list(answers)
        self._conclude(order, Outcome.DONE, "", lambda now_us: self._say(order, told, now_us), now_us)

    def refused(self, order: Order, error: EdgeMatrixError, now_us: int, about: Account | None = None) -> None:
        """Say that it was not done; where nobody waits for the answer, a dead letter tells it.

        Args:
            about: what the answer holds besides.
        """
        what, remedy = _told(error)
        self._conclude(order, Outcome.REFUSED, what, lambda now_us: self._refuse(order, what, remedy, about or {}, now_us), now_us)

    def unread(self, message: Message, error: EdgeMatrixError, now_us: int) -> None:
        """Say that an order cannot be read: nobody knows where an answer would go, so a dead letter tells it."""
        engine = self._engine
        gate = self._gate_of(message.topic)
        reason = error.what if not error.remedy else f"{error.what} ({error.remedy})"
        engine.dead_letter(engine.matrix, message.topic, message.value, reason, now_us)
        user, _, rest = message.topic.removeprefix(self._head).partition("/")
        if gate is not None and gate.has_room(user):
            verb, _, path = rest.partition("/")
            fact = Fact(gate.now(), user or "?", verb, path, shortened(message.value), Outcome.REFUSED, error.what)
            gate.write(fact, lambda number, error: None)  # noqa: ARG005 - it is refused, whether it is logged or not

    # Inside

    def _gate_of(self, topic: str) -> AuditGate | None:
        return self.gate if topic.startswith(self._head) else None

    def _logged(self, order: Order, carry_out: CarryOut, number: int, error: EdgeMatrixError | None) -> None:
        now_us = self.now_us()
        if error is not None:
            self._refuse(order, *_told(error), {}, now_us)
            return
        order.entry = number
        carry_out(now_us)

    def _conclude(self, order: Order, outcome: Outcome, reason: str, say: CarryOut, now_us: int) -> None:
        gate = self._gate_of(order.topic)
        if gate is None:
            say(now_us)
            return

        def written(number: int, error: EdgeMatrixError | None) -> None:
            del number
            if error is not None and not order.entry and outcome is Outcome.DONE:
                self._refuse(order, *_told(error), {}, self.now_us())  # nothing has changed, and nothing is told unlogged
            else:
                say(self.now_us())

        gate.write(self._fact(order, outcome, reason), written)

    def _fact(self, order: Order, outcome: Outcome, reason: str = "") -> Fact:
        assert self.gate is not None  # noqa: S101 - whoever calls knows
        asked = {} if order.entry or not isinstance(order.value, dict) else {**order.value}
        asked.pop(_NO_SESSION, None)
        return Fact(self.gate.now(), order.by, order.verb, order.path, shortened(asked), outcome, reason, order.entry)

    def _refuse(self, order: Order, what: str, remedy: str, about: Account, now_us: int) -> None:
        if order.session:
            self._say(order, [{**about, "refused": what, "remedy": remedy}], now_us)
            return
        engine = self._engine
        engine.dead_letter(engine.matrix, order.topic, order.value, f"{what} ({remedy})" if remedy else what, now_us)

    def _say(self, order: Order, answers: Iterable[Account], now_us: int) -> None:
        if not order.session:
            return
        engine = self._engine
        topic = reply_topic(engine.root, self._host, order)
        named = {"watch": order.path} if order.verb == "watch" else {"verb": order.verb, "path": order.path}
        for answer in answers:
            trail = engine.next_trail(order.trail, now_us)
            data = {**named, **answer}
            engine.outbox.append(Outbound(topic, data, engine.matrix, now_us, 1, type="em.reply", trail=trail, cause=order.trail.id))


def _told(error: EdgeMatrixError) -> tuple[str, str]:
    """What is wrong, and a remedy, in one sentence each."""
    if not isinstance(error, ConfigError):
        return (f"{error.where}: {error.what}" if error.where else error.what), error.remedy
    shown = [f"{issue.path}: {issue.what}" if issue.path else issue.what for issue in error.issues[:_ISSUES_TOLD_MAX]]
    if len(error.issues) > len(shown):
        shown.append(f"and {len(error.issues) - len(shown)} more")
    return "; ".join(shown), next((issue.remedy for issue in error.issues if issue.remedy), "")
