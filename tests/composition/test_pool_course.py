"""Replicas of one agent behind one path."""

from __future__ import annotations

from typing import Any

import pytest
from course_drive import emitted, failure, finished, invoked, notes, read

from edgematrix.composition.course import Done, Effect, Failed, Go, Wake
from edgematrix.composition.places import KEYS_MAX
from edgematrix.composition.pool import Pool, check_pool, replica_names
from edgematrix.composition.pool_course import PoolCourse
from edgematrix.composition.spec import PoolSpec
from edgematrix.errors import ExpressionError, UsageError


def pool(replicas: int = 2, **fields: Any) -> Pool:
    return Pool.compile(read(PoolSpec, replicas=replicas, **fields), replica_names("worker", replicas))


def started(pool: Pool, runid: str, request: object = None) -> tuple[PoolCourse, list[Effect]]:
    course = pool.course(runid)
    return course, course.begin({"in": request}, 0)


def member(effects: list[Effect]) -> str:
    return invoked(effects).member


def test_replicas_are_numbered_from_one():
    assert replica_names("worker", 3) == ("worker-1", "worker-2", "worker-3")


def test_the_replica_with_the_least_work_gets_it_the_first_of_several():
    of = pool(3, busy_max=2)
    assert [member(started(of, f"r{number}")[1]) for number in range(5)] == ["worker-1", "worker-2", "worker-3", "worker-1", "worker-2"]


def test_a_place_that_was_given_back_is_used_again():
    of = pool(2)
    first, _ = started(of, "a")
    started(of, "b")
    first.take(Done(1, {"out": 1}), 0)
    assert first.close() == ()
    assert member(started(of, "c")[1]) == "worker-1"


def test_the_request_goes_to_the_replica_and_its_outputs_are_the_pools():
    course, begun = started(pool(), "a", {"n": 1})
    assert invoked(begun).inputs == (("", {"n": 1}),)
    assert course.waits_for() == "`worker-1`, which has its request"
    over = course.take(Done(1, {"out": 2, "log": "x"}), 0)
    assert emitted(over) == {"out": 2, "log": "x"}
    assert finished(over)
    assert course.take(Done(1, {"out": 3}), 0) == []


def test_a_replica_that_returns_nothing_ends_it_without_output():
    course, _ = started(pool(), "a")
    over = course.take(Done(1, {}), 0)
    assert emitted(over) == {}
    assert "`worker-1` returned nothing" in notes(over)
    assert finished(over)


def test_work_waits_in_order_and_begins_once_a_place_is_free():
    of = pool(1)
    first, _ = started(of, "a")
    second, waits = started(of, "b")
    third, _ = started(of, "c")
    assert "it waits for a free replica, at place 1 of 1" in notes(waits)
    assert third.waits_for() == "a free replica, at place 2 of 2"
    assert second.take(Go(), 0) == []
    first.take(Done(1, {}), 0)
    assert first.close() == ("b",)
    assert "free for it" in second.waits_for()
    assert third.take(Go(), 0) == []
    assert member(second.take(Go(), 0)) == "worker-1"
    assert second.take(Go(), 0) == []


def test_beyond_what_may_wait_the_pool_is_full():
    of = pool(1, waiting_max=1)
    started(of, "a")
    started(of, "b")
    course, refused = started(of, "c")
    assert failure(refused).reason == "the pool is full: 1 runs wait already, waiting_max is 1"
    assert course.close() == ()
    assert of.places.waiting == ("b",)


def test_a_run_that_is_cancelled_leaves_the_queue_or_its_place():
    of = pool(1)
    first, _ = started(of, "a")
    second, _ = started(of, "b")
    third, _ = started(of, "c")
    assert second.close() == ()
    assert first.close() == ("c",)
    assert third.close() == ()  # it had been given a place, and never heard of it
    assert first.close() == ()
    assert member(started(of, "d")[1]) == "worker-1"


def test_a_failure_of_the_work_fails_the_run():
    of = pool(1)
    course, _ = started(of, "a")
    second, _ = started(of, "b")
    assert failure(course.take(Failed(1, "boom"), 0)) == ("boom", "worker-1")
    assert course.close() == ("b",)
    assert member(second.take(Go(), 0)) == "worker-1"


# Keys


def test_a_key_stays_with_its_replica():
    of = pool(2, key="device", busy_max=3)
    assert member(started(of, "a", {"device": "x"})[1]) == "worker-1"
    assert member(started(of, "b", {"device": "y"})[1]) == "worker-2"
    assert [member(started(of, f"x{number}", {"device": "x"})[1]) for number in range(2)] == ["worker-1"] * 2
    course, waits = started(of, "x2", {"device": "x"})
    assert "a free replica for its key" in notes(waits)
    assert member(started(of, "c", {"device": "z"})[1]) == "worker-2"  # it overtakes what waits for another
    assert course.take(Go(), 0) == []


def test_what_waits_for_its_key_does_not_hold_up_what_does_not():
    of = pool(2, key="device")
    started(of, "x1", {"device": "x"})
    other, _ = started(of, "y1", {"device": "y"})
    started(of, "x2", {"device": "x"})
    third, _ = started(of, "z1", {"device": "z"})
    assert other.close() == ("z1",)
    assert member(third.take(Go(), 0)) == "worker-2"


def test_runs_of_one_new_key_that_waited_go_to_one_replica():
    of = pool(2, key="device", busy_max=2)
    first = [started(of, f"a{number}", {"device": str(number)})[0] for number in range(4)]
    later = {name: started(of, name, {"device": "new"})[0] for name in ("n1", "n2", "n3")}
    assert first[0].close() == ("n1",)  # of worker-1
    assert first[1].close() == ()  # of worker-2, which the new key is not bound to
    assert first[2].close() == ("n2",)
    assert {member(later[name].take(Go(), 0)) for name in ("n1", "n2")} == {"worker-1"}
    assert later["n1"].close() == ("n3",)


def test_numbers_flags_and_long_texts_are_keys():
    of = pool(8, key="value", busy_max=5)
    long = "x" * 100_000
    for number, key in enumerate([1, True, "a", long, f"{long}y"]):
        begun = [member(started(of, f"{number}{again}", key)[1]) for again in "ab"]
        assert len(set(begun)) == 1
    assert [of.places.busy(name) for name in of.places.members] == [2, 2, 2, 2, 2, 0, 0, 0]


def test_a_request_without_a_key_goes_to_any_replica():
    of = pool(2, key="device")
    assert [member(started(of, name, {})[1]) for name in "ab"] == ["worker-1", "worker-2"]


@pytest.mark.parametrize(("request_", "reason"), [({"device": [1]}, "gave list, expected a text"), ("text", "")])
def test_a_key_that_cannot_be_told_fails_the_run(request_, reason):
    of = pool(2, key="device" if reason else "value.device")
    assert reason in failure(started(of, "a", request_)[1]).reason
    assert of.places.busy("worker-1") == 0


def test_only_so_many_keys_are_remembered():
    of = pool(2, key="value")
    for number in range(KEYS_MAX + 5):
        started(of, "a", number)[0].close()
    assert len(of.places._keys) == KEYS_MAX


# Replicas that die


def test_work_of_a_dead_replica_goes_to_another():
    of = pool(2)
    course, _ = started(of, "a")
    assert of.gone("worker-1") == ()
    moved = course.take(Failed(1, "it is offline", gone=True), 0)
    assert invoked(moved)[:5] == (2, "worker-2", (("", None),), {"out"}, ())
    assert "`worker-1` is gone (it is offline), so `worker-2` gets its work" in notes(moved)
    assert course.take(Done(1, {"out": "late"}), 0) == []
    assert emitted(course.take(Done(2, {"out": 5}), 0)) == {"out": 5}


def test_moved_work_waits_before_all_others():
    of = pool(2, waiting_max=1)
    lost, _ = started(of, "a")
    other, _ = started(of, "b")
    started(of, "c")
    of.gone("worker-1")
    moved = lost.take(Failed(1, "offline", gone=True), 0)
    assert "a free replica, at place 1 of 2" in notes(moved)
    assert other.close() == ("a",)
    assert member(lost.take(Go(), 0)) == "worker-2"


def test_a_replica_that_is_back_before_its_loss_is_told_gets_its_work_again():
    of = pool(2, busy_max=2)
    course, _ = started(of, "a")
    started(of, "b")
    of.gone("worker-1")
    of.back("worker-1")
    assert member(course.take(Failed(1, "a blip", gone=True), 0)) == "worker-1"


def test_a_move_may_let_others_begin():
    of = pool(2, key="device")
    lost, _ = started(of, "x1", {"device": "x"})
    other, _ = started(of, "y1", {"device": "y"})
    started(of, "x2", {"device": "x"})
    third, _ = started(of, "z1", {"device": "z"})
    of.gone("worker-1")
    assert other.close() == ("x2",)  # the key has moved to worker-2
    assert of.back("worker-1") == ()
    moved = lost.take(Failed(1, "offline", gone=True), 0)
    assert moved[-1] == Wake(("z1",))
    assert "it waits for a free replica for its key, at place 1 of 1" in notes(moved)
    assert member(third.take(Go(), 0)) == "worker-1"


def test_when_all_are_gone_it_waits_until_one_is_back():
    of = pool(2, waiting_max=2)
    course, _ = started(of, "a")
    of.gone("worker-1")
    of.gone("worker-2")
    course.take(Failed(1, "offline", gone=True), 0)
    later, waits = started(of, "b")
    assert "a replica to come back, as all 2 are gone" in notes(waits)
    assert "as all 2 are gone" in later.waits_for()
    assert "the pool is full" in failure(started(of, "c")[1]).reason
    assert of.back("worker-2") == ("a",)
    assert member(course.take(Go(), 0)) == "worker-2"


@pytest.mark.parametrize(("replicas", "moves"), [(2, 30), (31, 31)])
def test_work_is_not_moved_for_ever(replicas: int, moves: int):
    of = pool(replicas)
    course, effects = started(of, "a")
    for _ in range(moves):
        call = invoked(effects)
        of.gone(call.member)
        of.back(call.member)
        effects = course.take(Failed(call.step, "crashed", gone=True), 0)
    over = failure(course.take(Failed(invoked(effects).step, "crashed", gone=True), 0))
    assert over.reason == f"{moves + 1} replicas in turn were gone with its work, at last: crashed"


def test_keys_of_a_dead_replica_are_free_for_others():
    of = pool(2, key="device")
    started(of, "x1", {"device": "x"})
    second, _ = started(of, "x2", {"device": "x"})
    assert of.gone("worker-1") == ("x2",)
    assert member(second.take(Go(), 0)) == "worker-2"
    of.back("worker-1")
    assert "for its key" in notes(started(of, "x3", {"device": "x"})[1])


def test_a_place_that_was_given_of_a_replica_that_died_meanwhile_is_given_anew():
    of = pool(2)
    first, _ = started(of, "a")
    second, _ = started(of, "b")
    third, _ = started(of, "c")
    assert first.close() == ("c",)
    assert of.gone("worker-1") == ()
    assert third.take(Go(), 0) == []
    assert second.close() == ("c",)
    assert member(third.take(Go(), 0)) == "worker-2"


def test_a_stranger_is_no_replica():
    with pytest.raises(UsageError, match="`boss` is no replica"):
        pool().gone("boss")


# Checks


@pytest.mark.parametrize(("children", "place", "found"), [([], ("pool",), "found none"), (["a", "b"], ("agents",), "found a, b")])
def test_the_check_wants_exactly_one_agent(children, place, found):
    (finding,) = check_pool(read(PoolSpec, replicas=2), children)
    assert finding.place == place
    assert found in finding.what


def test_the_check_refuses_a_wrong_key():
    (finding,) = check_pool(read(PoolSpec, replicas=2, key="devcie +"), ["worker"])
    assert finding.place == ("pool", "key")
    (finding,) = check_pool(read(PoolSpec, replicas=2, key="devcie"), ["worker"], ["device"])
    assert "`device`" in finding.remedy
    with pytest.raises(ExpressionError) as told:
        pool(key="(")
    assert told.value.where.startswith("key 1:")


def test_a_pool_of_none_is_refused_when_it_is_read():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        pool(0)
