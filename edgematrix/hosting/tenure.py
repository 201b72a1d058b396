"""The lease of one failover unit, as one host sees it: a machine without clock or bus (docs/design.md, decision 2).

A lease is a retained message that is written anew each second. Retained messages have no compare-and-swap, so nothing here
asks what the topic holds. What counts is what was *heard*, in the broker's order:

- A holder is active for `LEASE_US` from the moment at which it published the newest renewal whose echo it has heard.
- A claimer becomes active with the echo of a renewal, if for `QUIET_US` before it published that renewal, and up to its echo, it
  watched the topic all the while and heard no other holder.

Why two are never active at once. Let C become active by the echo of r while A is active by the echo of m. If the broker had m
before r, C heard m before the echo of r, so more than `QUIET_US` before r was published: A's time is over. If the broker had m
after r, A was active when the broker had r, by an earlier renewal that C heard within the same time; or A became active after
that, and the same holds with A and C exchanged. Neither epochs nor clocks that agree are needed for this, only clocks that run
equally fast, within one part in a hundred. Epochs decide who goes on (`Lease.rank`): whoever hears a higher one stops.

Two ways are shorter. A lease that was handed over, or laid down, by whoever held it counts as if its giver had never been heard:
it stopped before it said so. And a host that finds the lease laid down, or its own, of an earlier life of its process, watches for
`SETTLED_US` only: that process is dead, and another holder would have spoken within this time.
"""

from __future__ import annotations

from enum import Enum, auto

from edgematrix.hosting.candidates import Candidates
from edgematrix.hosting.effect import Activate, Effect, Publish, Sever, Suspend
from edgematrix.hosting.lease import EPOCH_MAX, Lease
from edgematrix.protocol.duration import SECOND_US

__all__ = [
    "BEAT_US",
    "LEASE_US",
    "QUIET_US",
    "SILENCE_US",
    "Phase",
    "Tenure",
]

LEASE_US = 3 * SECOND_US
"""How long a renewal that was heard again is good for."""
BEAT_US = SECOND_US
"""How often a holder renews its lease."""
QUIET_US = LEASE_US + SECOND_US // 10
"""A lease, and what two clocks may differ by meanwhile: one part in a hundred of each, and as much again."""
SILENCE_US = 4 * SECOND_US
"""After which a holder that is not heard has none any more."""
GRACE_US = SECOND_US // 2
"""How long a host that is offline by its will may take to come back before another claims what it held."""
SETTLED_US = 6 * SECOND_US // 5
"""Somebody who holds the lease is heard within this time."""
TURN_US = 2 * SECOND_US
"""How much later each candidate claims than the one before it in order, where that one is online and does not."""
BACK_US = 10 * SECOND_US
"""How long the first choice has to be online until it gets the lease back."""
AGAIN_US = 300 * SECOND_US
"""When it is tried again, if it did not take it the first time."""
_HEARD_MAX = 16


class Phase(Enum):
    """Where a host stands with a lease."""

    WATCHING = auto()
    CLAIMING = auto()
    HOLDING = auto()


class Tenure:
    """One host and the lease of one unit. Each method takes the host's timeline and gives what is to be done, in order.

    Args:
        host: this host's name.
        session: the life of this process.
        order: the hosts that may have the unit, the first choice first; this one among them.
        returns: whether whoever has the unit hands it over when a host before it in order is back.
    """

    def __init__(self, host: str, session: str, order: tuple[str, ...], *, returns: bool = False) -> None:
        self.host = host
        self.session = session
        self.candidates = Candidates(host, order)
        self.returns = returns
        self.phase = Phase.WATCHING
        self.epoch = 0
        """The epoch that it claims, or holds."""
        self.seen = Lease(0, "", "")
        """The lease of the highest rank that was heard, or published."""
        self._known = False
        self._view_us: int | None = None
        """Since when everything on the topic is heard; None while the link is down."""
        self._linked = False
        self._heard_us: dict[str, int] = {}
        """When other sessions were heard last."""
        self._spoke_us = 0
        """When any other, or the lease's end, was heard last: silence counts from there."""
        self._beat = 0
        self._sent: dict[int, int] = {}
        """When renewals that may be heard again were published, by beat."""
        self._confirmed_us = 0
        self._next_beat_us = 0
        self._short = False
        """Whether nobody else had the lease before the claim: it was laid down, or is this host's own, of an earlier life."""
        self.is_former = False
        """Whether it was the latter: of a life of this host's process before this one, and nobody had it since."""
        self.is_first = False
        """Whether nobody was known to have had the lease before the claim."""
        self._barred_us = 0
        self._given = ("", 0)
        """The session to which the lease was handed over, or that fell silent with it, and when. It gets it back once it is heard."""

    # What a host asks

    def is_held(self, now_us: int) -> bool:
        """Whether the unit may have effects now."""
        return self.phase is Phase.HOLDING and now_us < self._confirmed_us + LEASE_US

    @property
    def lapse_us(self) -> int | None:
        """When the lease ends unless a renewal is heard; None where it is not held."""
        return self._confirmed_us + LEASE_US if self.phase is Phase.HOLDING else None

    @property
    def deadline_us(self) -> int | None:
        """When `tick` has something to do next."""
        if self.phase is Phase.WATCHING:
            return self._claim_us()
        dues = [self._next_beat_us] if self._linked else []
        if self.phase is Phase.HOLDING:
            dues.append(self._confirmed_us + LEASE_US)
            if self.returns and (back_us := self._back_us()) is not None:
                dues.append(back_us)
        return min(dues, default=None)

    @property
    def successor(self) -> str:
        """The host before this one in order that is online; empty if there is none."""
        return next(iter(self.candidates.better), "")

    # What happens

    def linked(self, now_us: int) -> list[Effect]:
        """The broker is there. What it sends is complete only after `watching`."""
        effects = self._begin(now_us)
        self._linked = True
        self._next_beat_us = now_us
        return effects + self._act(now_us)

    def watching(self, now_us: int) -> list[Effect]:
        """The subscription is in place, and what the broker had retained was heard."""
        effects = self._begin(now_us)
        self._view_us = now_us
        return effects + self._act(now_us)

    def unlinked(self, now_us: int) -> list[Effect]:
        """The connection is gone."""
        effects = self._begin(now_us)
        self._linked = False
        self._view_us = None
        self._sent.clear()
        if self.phase is Phase.CLAIMING:
            self._withdraw()
        return effects

    def heard(self, lease: Lease, now_us: int, *, retained: bool = False) -> list[Effect]:
        """A message on the topic."""
        effects = self._begin(now_us)
        if lease.session == self.session and lease.beat:
            if not retained:
                self._echo(lease, now_us, effects)
        else:
            self._other(lease, now_us, effects)
        if self.phase is not Phase.HOLDING and lease.rank > self.seen.rank:
            self.seen = lease
        self._known = True
        return effects + self._act(now_us)

    def host_seen(self, name: str, session: str, now_us: int, *, online: bool) -> list[Effect]:
        """A host has come, or gone."""
        effects = self._begin(now_us)
        if name not in self.candidates.order:
            return effects
        if not online:
            self.candidates.go(name, session, now_us)
        elif self.candidates.come(name, session, now_us) and self._given[0] == session:
            self._given = ("", 0)
        return effects + self._act(now_us)

    def tick(self, now_us: int) -> list[Effect]:
        """Time has passed."""
        return self._begin(now_us) + self._act(now_us)

    def give_back(self, now_us: int) -> list[Effect]:
        """Hand the lease over to the host before this one that is online, because somebody wants it; nothing where there is none."""
        effects = self._begin(now_us)
        if self.phase is Phase.HOLDING and self.successor:
            self._hand_over(self.successor, now_us, effects)
        return effects

    def decline(self, now_us: int) -> list[Effect]:
        """The unit cannot run on this host: another is to have it, and this one claims it no more for `AGAIN_US`."""
        effects = self._begin(now_us)
        self._barred_us = now_us + AGAIN_US
        if self.phase is Phase.HOLDING:
            effects.append(Suspend(self.epoch, "it cannot run here"))
            if self._linked:
                self._leave(Lease(self.epoch + 1, "", "", 0, self.session), now_us, effects)
        self._withdraw()
        return effects

    def stop(self, now_us: int) -> list[Effect]:
        """The host goes on purpose: lay the lease down, so that another need not wait."""
        effects = self._begin(now_us)
        if self.phase is Phase.HOLDING:
            effects.append(Suspend(self.epoch, f"the host {self.host} stops"))
            if self._linked:
                self._leave(Lease(self.epoch + 1, "", "", 0, self.session), now_us, effects)
        self._withdraw()
        self._linked = False
        self._view_us = None
        return effects

    # Inside

    def _begin(self, now_us: int) -> list[Effect]:
        """Before anything else: a host that slept has lost its lease."""
        if self.phase is not Phase.HOLDING or now_us < self._confirmed_us + LEASE_US:
            return []
        reason = f"its lease was not confirmed for {(now_us - self._confirmed_us) / SECOND_US:.1f} s"
        effects: list[Effect] = [Suspend(self.epoch, reason)]
        if self._linked:
            effects.append(Sever(reason))
            self._linked = False
            self._view_us = None
        self._withdraw()
        self._spoke_us = now_us
        return effects

    def _withdraw(self) -> None:
        self.phase = Phase.WATCHING
        self._sent.clear()
        self._short = False

    def _act(self, now_us: int) -> list[Effect]:
        """Do what is due."""
        effects: list[Effect] = []
        if self.phase is Phase.WATCHING:
            claim_us = self._claim_us()
            if claim_us is not None and now_us >= claim_us:
                self._claim(now_us)
        elif self.phase is Phase.HOLDING and self.returns:
            back_us = self._back_us()
            if back_us is not None and now_us >= back_us:
                self._hand_over(self.successor, now_us, effects)
        if self.phase is not Phase.WATCHING and self._linked and now_us >= self._next_beat_us:
            self._renew(now_us, effects)
        return effects

    def _renew(self, now_us: int, effects: list[Effect]) -> None:
        self._beat += 1
        self._sent[self._beat] = now_us
        for beat in [beat for beat, at_us in self._sent.items() if now_us - at_us >= LEASE_US]:
            del self._sent[beat]
        self._next_beat_us = now_us + BEAT_US
        if self.phase is Phase.CLAIMING and (quiet_us := self._quiet_us()) is not None and now_us < quiet_us < self._next_beat_us:
            self._next_beat_us = quiet_us  # the first renewal that may make it active
        effects.append(Publish(Lease(self.epoch, self.host, self.session, self._beat)))

    def _echo(self, lease: Lease, now_us: int, effects: list[Effect]) -> None:
        sent_us = self._sent.pop(lease.beat, None)
        if sent_us is None or lease.epoch != self.epoch or self.phase is Phase.WATCHING:
            return
        self._confirmed_us = max(self._confirmed_us, sent_us)
        if self.phase is Phase.CLAIMING and now_us < sent_us + LEASE_US:
            quiet_us = self._quiet_us()
            if quiet_us is not None and sent_us >= quiet_us:
                self.phase = Phase.HOLDING
                effects.append(Activate(self.epoch))

    def _other(self, lease: Lease, now_us: int, effects: list[Effect]) -> None:
        """Somebody else has published on the topic."""
        self._spoke_us = now_us
        if lease.giver:
            self._heard_us.pop(lease.giver, None)
        else:
            self._note(lease.session, now_us)
            if lease.session == self._given[0]:
                self._given = ("", 0)
                self.candidates.again(lease.holder, lease.session, now_us)
        is_mine = lease.giver != "" and lease.session == self.session
        if self.phase is not Phase.WATCHING:
            if lease.rank > (self.epoch, self.host) or is_mine:
                if self.phase is Phase.HOLDING and not is_mine:
                    who = lease.holder or "nobody"
                    effects.append(Suspend(self.epoch, f"{who} has it now, with the epoch {lease.epoch}"))
                if not is_mine or self.phase is Phase.CLAIMING:
                    self._withdraw()
            else:
                self._next_beat_us = now_us  # who comes later is to find the lease that counts

    def _note(self, session: str, now_us: int) -> None:
        heard_us = self._heard_us
        for other in [other for other, at_us in heard_us.items() if now_us - at_us > QUIET_US]:
            del heard_us[other]
        if len(heard_us) >= _HEARD_MAX and session not in heard_us:
            session = ""  # whoever it was: it counts
        heard_us[session] = now_us

    def _quiet_us(self) -> int | None:
        """From when on a renewal may make the claim a tenure; None while that cannot be."""
        if self._view_us is None:
            return None
        watched_us = self._view_us + (SETTLED_US if self._short else QUIET_US)
        return max([watched_us, *(at_us + QUIET_US for at_us in self._heard_us.values())])

    def _claim_us(self) -> int | None:
        """When this host is to claim the lease; None while it is not."""
        free_us = self._free_us()
        return None if free_us is None else max(free_us, self._barred_us)

    def _free_us(self) -> int | None:
        view_us = self._view_us
        if view_us is None:
            return None
        seen, turns = self.seen, self.candidates.turns(self.seen)
        if seen.session == self.session and seen.giver:
            return view_us  # it was handed over to this host
        if not self._known:
            return view_us + BEAT_US + turns * TURN_US
        if seen.holder == self.host:
            return view_us if seen.session != self.session else max(view_us, self._spoke_us) + turns * TURN_US
        free_us = max(self._spoke_us, view_us) + SILENCE_US
        if not seen.holder:
            free_us = max(self._spoke_us, view_us)
        elif (gone_us := self.candidates.gone_us(seen)) is not None:
            free_us = min(free_us, max(view_us, gone_us + GRACE_US))
        return free_us + turns * TURN_US

    def _claim(self, now_us: int) -> None:
        seen = self.seen
        is_own = self._known and seen.holder == self.host and seen.session != self.session
        if seen.session != self.session or seen.giver:  # else it is the claim before this one, which came to nothing
            self.is_former, self.is_first = is_own, not self._known
        if is_own:
            self._heard_us.pop(seen.session, None)
        self._short = is_own or (self._known and not seen.holder)
        if seen.holder != self.host and self.candidates.session_of(seen.holder) == seen.session:
            self._given = (seen.session, now_us)  # online, and silent all the same
        is_given = seen.session == self.session and seen.giver != ""
        self.epoch = seen.epoch if is_given else min(max(seen.epoch + 1, now_us // 1_000), EPOCH_MAX)
        self.seen = Lease(self.epoch, self.host, self.session)
        self._known = True
        self.phase = Phase.CLAIMING
        self._confirmed_us = 0
        self._next_beat_us = now_us

    def _back_us(self) -> int | None:
        name = self.successor
        if not name or not self._linked:
            return None
        session, since_us = self.candidates.session_of(name), self.candidates.since_us(name)
        given_to, given_us = self._given
        return max(since_us + BACK_US, given_us + AGAIN_US if given_to == session else 0)

    def _hand_over(self, name: str, now_us: int, effects: list[Effect]) -> None:
        session = self.candidates.session_of(name)
        effects.append(Suspend(self.epoch, f"it is handed over to {name}"))
        self._given = (session, now_us)
        self._leave(Lease(max(self.epoch + 1, now_us // 1_000), name, session, 0, self.session), now_us, effects)

    def _leave(self, lease: Lease, now_us: int, effects: list[Effect]) -> None:
        """Publish whose the lease is from now on."""
        self._withdraw()
        self.seen = lease
        self._spoke_us = now_us
        effects.append(Publish(lease))
