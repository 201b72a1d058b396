"""Leases of failover units: who has one, how soon another has it, and that two never have it at one moment, whatever goes wrong."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lease_world import MS, S, World

from edgematrix.errors import CodecError
from edgematrix.hosting.effect import Suspend
from edgematrix.hosting.lease import Lease, read_lease
from edgematrix.hosting.tenure import LEASE_US, Tenure

ABC = ("a", "b", "c")


def world(*, returns: bool = False, seed: int = 1, order: tuple[str, ...] = ABC, started: bool = True, drift: float = 0.01) -> World:
    chance = Random(seed)
    drifts = {name: chance.uniform(-drift, drift) for name in order}
    made = World(order, returns=returns, drifts=drifts, delays=lambda: chance.randint(MS, 20 * MS))
    if started:
        for host in made.hosts.values():
            host.start()
        made.run_until(lambda: made.active() == ["a"], 5 * S)
    return made


def test_the_first_choice_gets_the_lease_and_keeps_it() -> None:
    made = world()
    epoch = made.retained.epoch if made.retained else 0
    made.run(60 * S)
    assert made.active() == ["a"]
    assert made.retained is not None
    assert (made.retained.holder, made.retained.epoch) == ("a", epoch)
    assert 55 <= made.published - 4 <= 65  # each second one, and no host but the holder


def test_without_the_first_choice_the_next_one_has_it() -> None:
    made = world(started=False)
    made.hosts["c"].start()
    made.hosts["b"].start()
    made.run_until(lambda: made.active() == ["b"], 5 * S)


@pytest.mark.parametrize("seed", range(20))
def test_after_the_will_of_the_holder_the_next_has_it_within_5_s(seed: int) -> None:
    made = world(seed=seed)
    made.run(seed * 150 * MS)
    made.hosts["a"].kill(reads_rest=True)
    assert made.run_until(lambda: made.active() == ["b"], 5 * S) > 2 * S


@pytest.mark.parametrize("seed", range(20))
def test_after_silence_of_the_holder_the_next_has_it_within_5_s(seed: int) -> None:
    made = world(seed=seed)
    made.run(seed * 150 * MS)
    made.hosts["a"].stall(up=True, down=True)
    made.run_until(lambda: made.active() == ["b"], 5 * S)
    assert "not confirmed" in made.hosts["a"].suspended[-1]
    made.hosts["a"].stall(up=False, down=False)
    made.run(30 * S)
    assert made.active() == ["b"]


def test_a_host_that_stops_in_good_order_is_followed_at_once() -> None:
    made = world()
    made.hosts["a"].stop()
    assert made.run_until(lambda: made.active() == ["b"], 5 * S) < S


def test_a_host_that_comes_back_before_another_has_claimed_goes_on_soon() -> None:
    made = world()
    made.hosts["a"].kill(reads_rest=True)
    made.run(300 * MS)
    made.hosts["a"].start()
    assert made.run_until(lambda: made.active() == ["a"], 5 * S) < 2 * S


def test_a_link_that_breaks_and_comes_back_changes_nothing() -> None:
    made = world()
    epoch = made.hosts["a"].tenure.epoch  # type: ignore[union-attr]
    made.hosts["a"].cut(reads_rest=False)
    made.run(30 * S)
    assert (made.active(), made.hosts["a"].suspended) == (["a"], [])
    assert made.retained is not None
    assert made.retained.epoch == epoch


def test_a_broker_that_forgets_everything_is_told_again() -> None:
    made = world()
    made.restart_broker(S)
    made.run(10 * S)
    assert (made.active(), made.hosts["a"].suspended) == (["a"], [])
    made.restart_broker(20 * S)
    made.run(10 * S)
    assert made.active() == []
    made.run(25 * S)
    assert len(made.active()) == 1


def test_with_failback_the_first_choice_has_it_again() -> None:
    made = world(returns=True)
    made.hosts["a"].kill(reads_rest=True)
    made.run_until(lambda: made.active() == ["b"], 5 * S)
    made.hosts["a"].start()
    took_us = made.run_until(lambda: made.active() == ["a"], 12 * S)
    assert took_us > 9 * S
    assert made.hosts["b"].suspended == ["it is handed over to a"]
    made.run(30 * S)
    assert made.active() == ["a"]


def test_without_it_whoever_has_it_keeps_it_until_it_is_told() -> None:
    made = world()
    made.hosts["a"].kill(reads_rest=True)
    made.run_until(lambda: made.active() == ["b"], 5 * S)
    made.hosts["a"].start()
    made.run(60 * S)
    assert made.active() == ["b"]
    host = made.hosts["b"]
    assert host.tenure is not None
    assert host.tenure.successor == "a"
    host._do(host.tenure.give_back(host.clock_us()))
    assert made.run_until(lambda: made.active() == ["a"], S) < S


def test_a_host_that_was_stopped_for_long_has_nothing_when_it_wakes() -> None:
    made = world()
    made.hosts["a"].pause()
    made.run_until(lambda: made.active() == ["b"], 5 * S)
    tenure = made.hosts["a"].tenure
    assert tenure is not None
    assert not tenure.is_held(made.hosts["a"].clock_us())  # before it has done anything at all
    made.hosts["a"].wake()
    made.run(30 * S)
    assert made.active() == ["b"]


def test_a_first_choice_that_falls_silent_gets_it_back_only_when_it_is_there_again() -> None:
    made = world(returns=True)
    made.hosts["a"].pause()
    assert made.run_until(lambda: made.active() == ["b"], 5 * S) > 3 * S
    made.run(15 * S)
    assert made.active() == ["b"]
    made.hosts["a"].wake()
    assert made.run_until(lambda: made.active() == ["a"], 15 * S) > 9 * S


def test_a_host_to_which_it_is_handed_over_in_vain_is_not_tried_again_for_long() -> None:
    made = world(returns=True)
    made.hosts["a"].kill(reads_rest=True)
    made.run_until(lambda: made.active() == ["b"], 5 * S)
    made.hosts["a"]._do = lambda _: None  # type: ignore[method-assign]  # online, and claims nothing
    made.hosts["a"].start()
    made.run_until(lambda: made.active() == [], 12 * S)
    made.run_until(lambda: made.active() == ["b"], 7 * S)
    made.run(250 * S)
    assert made.active() == ["b"]
    made.run_until(lambda: made.active() == [], 60 * S)


def test_two_that_both_believe_to_have_it_are_one_again_at_the_first_word() -> None:
    first, second = (Tenure(name, f"{name}1", ("a", "b")) for name in "ab")
    for tenure in (first, second):
        tenure.linked(0)
        tenure.watching(0)
        for now_us in range(0, 8 * S, 500 * MS):
            for effect in tenure.tick(now_us):
                tenure.heard(effect.lease, now_us)  # type: ignore[union-attr]  # each hears itself alone
        assert tenure.is_held(8 * S)
    mine, other = (Lease(tenure.epoch, tenure.host, tenure.session, 99) for tenure in (first, second))
    assert mine.epoch == other.epoch  # then the name decides
    winner, loser = (first, second) if mine.rank > other.rank else (second, first)
    lost = loser.heard(max(mine, other, key=lambda lease: lease.rank), 8 * S)
    assert [type(effect) for effect in lost][:1] == [Suspend]
    assert not loser.is_held(8 * S)
    kept = winner.heard(min(mine, other, key=lambda lease: lease.rank), 8 * S)
    assert not any(isinstance(effect, Suspend) for effect in kept)
    assert winner.is_held(8 * S)


def test_what_is_no_lease_is_refused() -> None:
    good = Lease(7, "a", "s", 3).as_value()
    assert read_lease(good) == Lease(7, "a", "s", 3)
    for wrong in (None, 1, [], {}, good | {"v": 2}, good | {"epoch": -1}, good | {"epoch": 2**60}, good | {"holder": 5}):
        with pytest.raises(CodecError):
            read_lease(wrong)


HOSTS = st.sampled_from(ABC)
FLAG = st.booleans()
TROUBLE = st.one_of(
    st.tuples(st.just("kill"), HOSTS, FLAG),
    st.tuples(st.just("start"), HOSTS),
    st.tuples(st.just("stop"), HOSTS),
    st.tuples(st.just("pause"), HOSTS),
    st.tuples(st.just("wake"), HOSTS),
    st.tuples(st.just("cut"), HOSTS, FLAG),
    st.tuples(st.just("stall"), HOSTS, FLAG, FLAG),
    st.tuples(st.just("broker"), st.integers(1, 6_000)),
    st.tuples(st.just("give"), HOSTS),
)


def befall(made: World, trouble: tuple[object, ...]) -> None:
    what, *more = trouble
    if what == "broker":
        if made.broker_up:
            made.restart_broker(int(more[0]) * MS)  # type: ignore[call-overload]
        return
    host = made.hosts[str(more[0])]
    if what == "kill" and host.tenure is not None:
        host.kill(reads_rest=bool(more[1]))
    elif what == "start" and host.tenure is None:
        host.start()
    elif what == "stop":
        host.stop()
    elif what == "pause":
        host.pause()
    elif what == "wake":
        host.wake()
    elif what == "cut" and not host.paused:
        host.cut(reads_rest=bool(more[1]))
    elif what == "stall":
        host.stall(up=bool(more[1]), down=bool(more[2]))
    elif what == "give" and host.tenure is not None and not host.paused:
        host._do(host.tenure.give_back(host.clock_us()))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    troubles=st.lists(st.tuples(st.integers(0, 6_000), TROUBLE), max_size=25),
    seed=st.integers(0, 2**32),
    returns=FLAG,
)
def test_whatever_goes_wrong_two_never_have_it_and_in_the_end_one_has(
    troubles: list[tuple[int, tuple[object, ...]]], seed: int, returns: bool
) -> None:
    made = world(returns=returns, seed=seed, started=False)
    for host in made.hosts.values():
        host.start()
    for wait_ms, trouble in troubles:
        made.run(wait_ms * MS)  # `World.check` looks after each event whether two may act
        befall(made, trouble)
        made.check()
    for host in made.hosts.values():
        host.stall(up=False, down=False)
        host.wake()
        if host.tenure is None:
            host.start()
    made.run(60 * S)
    holder = made.active()
    assert len(holder) == 1
    if returns and holder != ["a"]:
        made.run(310 * S)  # it was handed over in vain before
        holder = made.active()
        assert holder == ["a"]
    assert made.retained is not None
    assert made.retained.holder == holder[0]
    for host in made.hosts.values():
        assert host.acts == (host.name == holder[0])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), when_ms=st.integers(0, 5_000), will=FLAG)
def test_whoever_is_connected_has_it_soon_after_the_holder_is_gone(seed: int, when_ms: int, will: bool) -> None:
    made = world(seed=seed)
    made.run(when_ms * MS)
    if will:
        made.hosts["a"].kill(reads_rest=bool(seed % 2))
    else:
        made.hosts["a"].stall(up=True, down=bool(seed % 2))
    made.run_until(lambda: made.active() == ["b"], 5 * S)


def test_a_lease_lasts_three_seconds() -> None:
    assert LEASE_US == 3 * S
