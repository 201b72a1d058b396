"""What is let in, when, and what is remembered of it; without a bus."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgematrix.runtime.gate as gate_module
from edgematrix.access.grant import GrantsDraft
from edgematrix.access.signed import Rule, SignedTopics
from edgematrix.access.trust import Trust
from edgematrix.identity.signing_keys import KeyRing, SigningKey
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.limits import Limits
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.gate import Gate
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Dropped, Observation
from edgematrix.runtime.sealed import Seal, epoch_after, read_epoch, write_epoch
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.simulator import START_US

OUT, SET, LEASE = "em/out/home/a/out", "em/in/home/b/set", "em/lease/home/a"


class Site:
    """A gate, somebody who signs, and what was handed on."""

    def __init__(self, *, is_kept: bool = False, has_store: bool = True, limits: Limits | None = None) -> None:
        self.clock = VirtualClock(START_US)
        self.key = SigningKey.make()
        self.ring = KeyRing({"pi": [self.key.public]})
        self.seal = Seal(self.key, self.clock.wall_us, worth_s=300, epoch=1)
        self.handed: list[bytes] = []
        self.puts_off = False
        self.hurried = 0
        self.observations: list[Observation] = []
        self._is_kept, self._has_store, self._limits = is_kept, has_store, limits
        self.stored: dict[str, bytes] = {}
        self.begin()

    def begin(self) -> None:
        """A new life, with what is stored."""
        self.engine = Engine("em", "home", new_id=id_maker(1), limits=self._limits)
        self.engine.observers.append(self.observations.append)
        draft = GrantsDraft()
        for topic in ("em/out/home/a/#", SET, LEASE):
            draft.write(topic, "a test")
        trust = Trust("em", "home", SignedTopics("em", {"home": True}), {"pi": draft.grants()})
        self.gate = Gate(
            self.engine,
            self.clock,
            self.ring,
            trust,
            handed=self._hand,
            is_kept=lambda topic: self._is_kept,
            hurry=self._hurry if self._has_store else None,
        )
        self.gate.load(self.stored, _damaged)

    def _hurry(self) -> None:
        self.hurried += 1

    def _hand(self, topic: str, payload: bytes, qos: int, retained: bool, name: str) -> None:
        assert name == "pi"
        self.handed.append(payload)
        if self.puts_off:
            self.gate.put_off(self)

    def signed(self, payload: bytes, topic: str = OUT, *, ends: bool = True) -> bytes:
        return self.seal.sign(topic, payload, ends=ends)

    def commit(self) -> None:
        for part, data in self.gate.save().items():
            if data is None:
                self.stored.pop(part, None)
            else:
                self.stored[part] = data
        self.gate.committed()


def _damaged(key: str, error: Exception) -> None:
    raise AssertionError(f"{key}: {error}")


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


def test_what_could_do_harm_twice_is_handed_on_when_it_is_stored_that_it_was_here() -> None:
    site = Site()
    whole = [site.signed(payload) for payload in numbered(3)]
    site.gate.take(OUT, whole[0], 0, False)
    site.gate.take(OUT, whole[1], 1, False)
    assert site.handed == []
    assert site.hurried == 2
    parts = site.gate.save()
    site.gate.take(OUT, whole[2], 0, False)  # it comes while that commit is written
    assert all(parts.values())
    site.gate.committed()
    assert site.handed == numbered(2)
    site.commit()
    assert site.handed == numbered(3)
    site.begin()
    for payload in whole:
        site.gate.take(OUT, payload, 1, False)
    site.commit()
    assert site.handed == numbered(3)
    assert site.gate.refused == {"replayed": 3}


def test_a_kill_before_the_commit_loses_nothing_that_had_an_effect() -> None:
    site = Site()
    whole = site.signed(b'{"n":1}')
    site.gate.take(OUT, whole, 1, False)
    site.gate.save()  # the write is cut off
    site.begin()
    site.gate.take(OUT, whole, 1, False)  # the broker delivers it again
    site.commit()
    assert site.handed == [b'{"n":1}']


def test_where_nothing_is_stored_and_for_what_is_committed_with_its_effects_nothing_waits() -> None:
    for site in (Site(has_store=False), Site(is_kept=True)):
        site.gate.take(OUT, site.signed(b'{"n":1}'), 1, False)
        assert site.handed == [b'{"n":1}']
    site = Site(is_kept=True)
    site.gate.take(OUT, site.signed(b'{"n":1}'), 0, False)  # a durable agent keeps what came with QoS 1
    assert site.handed == []


def test_a_lease_waits_for_nothing_and_comes_again_from_the_broker_but_not_an_older_one() -> None:
    site = Site()
    old, new = (site.signed(payload, LEASE, ends=False) for payload in numbered(2))
    for payload in (old, new, new, old, b""):
        site.gate.take(LEASE, payload, 1, True)
    assert site.handed == [b'{"n":0}', b'{"n":1}', b'{"n":1}']
    assert site.gate.refused == {"replayed": 1, "unsigned": 1}
    assert site.hurried == 0


def test_what_is_put_off_was_not_here_and_is_taken_once_all_the_same() -> None:
    site = Site(is_kept=True)
    whole = site.signed(b'{"n":1}')
    site.puts_off = True
    site.gate.take(OUT, whole, 1, False)
    site.gate.take(OUT, whole, 1, False)
    assert site.gate.refused == {"replayed": 1}
    site.commit()
    site.gate.unlinked()
    site.gate.linked()
    site.gate.take(OUT, whole, 1, False)  # the broker delivers it again, and it is put off again
    site.commit()
    site.begin()  # so it does after a kill
    site.puts_off = True
    site.gate.take(OUT, whole, 1, False)
    assert len(site.handed) == 3
    site.gate.take_up(site)
    site.commit()
    site.begin()
    site.gate.take(OUT, whole, 1, False)
    assert len(site.handed) == 3


def test_what_the_broker_delivers_again_on_its_next_connection_is_no_dead_letter_once() -> None:
    site = Site(has_store=False)
    whole = site.signed(b'{"n":1}')
    site.gate.take(OUT, whole, 1, False)
    site.gate.linked()
    for _ in range(2):
        site.gate.take(OUT, whole, 1, False)
    assert site.gate.repeated_count == 1
    assert site.gate.refused == {"replayed": 1}
    assert site.handed == [b'{"n":1}']


def test_a_signature_ends_by_the_wall_clock_and_what_is_to_last_has_no_end() -> None:
    site = Site(has_store=False)
    short, lasting = site.signed(b'{"n":1}'), site.signed(b'{"n":2}', ends=False)
    site.clock.set(START_US + 300 * SECOND_US)
    site.gate.take(OUT, short, 1, False)
    late = site.signed(b'{"n":3}')
    site.clock.set(START_US + 601 * SECOND_US)
    for payload in (late, lasting):
        site.gate.take(OUT, payload, 1, False)
    assert site.handed == [b'{"n":1}', b'{"n":2}']
    assert site.gate.refused == {"expired": 1}


def test_a_flood_fills_neither_the_dead_letters_nor_the_room_of_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(limits=Limits(unsigned_letters_max=5))
    for _ in range(100):
        site.gate.take(OUT, b"forged", 0, False)
    assert len(site.engine.letters) == 5
    assert site.gate.refused == {"unsigned": 100}
    assert sum(type(one) is Dropped for one in site.observations) == 95
    site.clock.set(START_US + 61 * SECOND_US)
    site.gate.take(OUT, b"forged", 0, False)
    assert next(iter(site.engine.letters.of("home"))).reason == "unsigned: it is not signed (95 more were refused since the letter before)"
    monkeypatch.setattr(gate_module, "_WAITING_MAX", 3)
    whole = [site.signed(payload) for payload in numbered(5)]
    for payload in whole:
        site.gate.take(OUT, payload, 0, False)
    assert site.gate.refused["no room"] == 2
    site.commit()
    assert site.handed == numbered(3)
    site.gate.take(OUT, whole[4], 0, False)  # what found no room was not here
    site.commit()
    assert site.handed == [*numbered(3), b'{"n":4}']


def test_a_signer_whose_clock_was_set_back_counts_in_a_higher_epoch_all_the_same() -> None:
    site = Site(has_store=False)
    site.seal.epoch = epoch_after(0, site.clock)
    site.gate.take(OUT, site.signed(b'{"n":1}'), 1, False)
    kept = write_epoch(site.seal.epoch)
    earlier = VirtualClock(START_US - 200 * SECOND_US)
    epoch = epoch_after(read_epoch(kept), earlier)
    assert epoch == site.seal.epoch + 1
    site.seal = Seal(site.key, earlier.wall_us, worth_s=300, epoch=epoch)
    site.gate.take(OUT, site.signed(b'{"n":2}'), 1, False)
    assert site.handed == [b'{"n":1}', b'{"n":2}']
    assert [read_epoch(data) for data in (b"", b"x", b"-1")] == [0, 0, 0]


def test_keys_that_are_gone_are_forgotten_and_what_they_sign_is_refused() -> None:
    site = Site()
    site.gate.take(OUT, site.signed(b'{"n":1}'), 1, False)
    site.commit()
    assert len(site.stored) == 1
    site.ring = KeyRing({})
    site.begin()
    site.gate.take(OUT, site.signed(b'{"n":2}'), 1, False)
    site.commit()
    assert site.stored == {}
    assert site.gate.refused == {"foreign": 1}


@pytest.mark.parametrize(
    ("topic", "rule"),
    [
        (OUT, Rule.ONCE),
        ("em/out/home/a/_end", Rule.ONCE),
        ("em/part/home/a/out", Rule.PASSING),
        ("em/ctl/home/a/pause", Rule.ONCE),
        ("em/op/anna/pause/home/a", Rule.ONCE),
        ("em/op/anna/pause/home", Rule.ONCE),
        ("em/ack/home/a", Rule.PASSING),
        (LEASE, Rule.STANDING),
        ("em/state/home/a/_snapshot", Rule.STANDING),
        ("em/state/home/a", Rule.NONE),
        ("em/host/a", Rule.NONE),
        ("em/spec/home/a", Rule.NONE),
        ("em/out/home/board/out", Rule.NONE),
        ("em/in/home/board/deep/set", Rule.NONE),
        ("em/in/home/board/deep/again/set", Rule.ONCE),
        ("em/ctl/home/board/deep/pause", Rule.ONCE),
        ("em/op/anna/pause/home/board", Rule.ONCE),
        ("em/op/anna/pause/home/other", Rule.NONE),
        ("em/out/home/a/kept", Rule.NEWEST),
        ("em/out/other/a/out", Rule.NONE),
        ("zigbee/em/out/home/a/out", Rule.NONE),
        ("em", Rule.NONE),
    ],
)
def test_it_is_a_matter_of_the_topic(topic: str, rule: Rule) -> None:
    topics = SignedTopics(
        "em", {"home": True, "home/board": False, "home/board/deep/again": True, "home/other": False}, {"em/out/home/a/kept"}
    )
    assert topics.rule(topic) is rule


def test_a_host_without_signed_messages_loads_nothing_of_it() -> None:
    program = "import sys, edgematrix.config.launch, edgematrix.config.hosting; print([m for m in sys.modules if m in WANTED])"
    wanted = (
        "'cryptography', 'edgematrix.runtime.gate', 'edgematrix.runtime.sealed', 'edgematrix.config.signing', 'edgematrix.access.replay'"
    )
    done = subprocess.run([sys.executable, "-c", f"WANTED = {{{wanted}}}\n{program}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
