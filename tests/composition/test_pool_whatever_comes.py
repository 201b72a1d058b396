"""A pool under any order of requests, ends, deaths and cancellations, with news that come late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from course_drive import read
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgematrix.composition.course import Done, Effect, Fail, Failed, Finish, Go, Invoke, Wake
from edgematrix.composition.pool import Pool, replica_names
from edgematrix.composition.pool_course import PoolCourse
from edgematrix.composition.spec import PoolSpec

REPLICAS, BUSY_MAX, WAITING_MAX = 3, 2, 4
MEMBERS = replica_names("worker", REPLICAS)


class _Run:
    def __init__(self, course: PoolCourse, key: str | None) -> None:
        self.course = course
        self.key = key
        self.call: Invoke | None = None
        self.lost = False
        self.end: Effect | None = None


class _Pools(RuleBasedStateMachine):
    keyed = False

    def __init__(self) -> None:
        super().__init__()
        spec = read(PoolSpec, replicas=REPLICAS, busy_max=BUSY_MAX, waiting_max=WAITING_MAX, key="value" if self.keyed else None)
        self.pool = Pool.compile(spec, MEMBERS)
        self.runs: dict[str, _Run] = {}
        self.news: deque[str] = deque()
        self.alive = set(MEMBERS)
        self.bound: dict[str, str] = {}
        self.count = 0

    # What happens

    @rule(key=st.sampled_from([None, "a", "b", "c", "d", "e"]))
    def request(self, key: str | None) -> None:
        self.count += 1
        runid = f"r{self.count}"
        run = self.runs[runid] = _Run(self.pool.course(runid), key)
        waiting = self.waiting()
        self.carry_out(runid, run.course.begin({"in": key}, 0))
        if isinstance(run.end, Fail):
            assert waiting >= WAITING_MAX
            assert run.end.reason.startswith("the pool is full")

    @precondition(lambda self: self.news)
    @rule()
    def news_arrive(self) -> None:
        runid = self.news.popleft()
        run = self.runs.get(runid)
        if run is not None:
            self.carry_out(runid, run.course.take(Go(), 0))

    @rule(data=st.data())
    def work_ends(self, data: st.DataObject) -> None:
        working = [runid for runid, run in self.runs.items() if run.call is not None and not run.lost]
        if working:
            self.done(data.draw(st.sampled_from(working)), failed=data.draw(st.booleans()))

    @rule(data=st.data())
    def is_cancelled(self, data: st.DataObject) -> None:
        if self.runs:
            self.close(data.draw(st.sampled_from(list(self.runs))))

    @rule(member=st.sampled_from(MEMBERS))
    def dies(self, member: str) -> None:
        if member in self.alive:
            self.alive.discard(member)
            self.bound = {key: its for key, its in self.bound.items() if its != member}
            for run in self.runs.values():
                run.lost = run.lost or (run.call is not None and run.call.member == member)
            self.news.extend(self.pool.gone(member))

    @rule(member=st.sampled_from(MEMBERS))
    def comes_back(self, member: str) -> None:
        self.alive.add(member)
        self.news.extend(self.pool.back(member))

    @rule(data=st.data())
    def loss_is_told(self, data: st.DataObject) -> None:
        lost = [runid for runid, run in self.runs.items() if run.lost]
        if lost:
            self.tell_loss(data.draw(st.sampled_from(lost)))

    # What must hold

    @invariant()
    def no_replica_has_too_much(self) -> None:
        for member in MEMBERS:
            working = sum(run.call is not None and run.call.member == member for run in self.runs.values())
            assert working <= self.pool.places.busy(member) <= BUSY_MAX

    @invariant()
    def nothing_waits_for_a_place_that_it_may_take(self) -> None:
        free = {member for member in self.alive if self.pool.places.busy(member) < BUSY_MAX}
        for runid in self.pool.places.waiting:
            key = self.runs[runid].key if self.keyed else None
            its = self.pool.places._keys.get(key) if key is not None else None
            assert (its not in free) if its is not None else not free

    @invariant()
    def what_waits_is_bounded_and_known(self) -> None:
        assert len(self.pool.places.waiting) <= WAITING_MAX + REPLICAS * BUSY_MAX
        assert set(self.pool.places.waiting) <= self.runs.keys()
        assert all(run.course.waits_for() for run in self.runs.values())

    def teardown(self) -> None:
        for member in MEMBERS:
            self.comes_back(member)
        for _ in range(10_000):
            if self.news:
                self.news_arrive()
            elif lost := [runid for runid, run in self.runs.items() if run.lost]:
                self.tell_loss(lost[0])
            elif working := [runid for runid, run in self.runs.items() if run.call is not None]:
                self.done(working[0], failed=False)
            else:
                break
        assert self.runs == {}, "work was lost"
        assert [self.pool.places.busy(member) for member in MEMBERS] == [0] * REPLICAS
        assert self.pool.places.waiting == ()

    # How it is driven

    def waiting(self) -> int:
        return len(self.pool.places.waiting)

    def carry_out(self, runid: str, effects: Iterable[Effect]) -> None:
        run = self.runs[runid]
        for effect in effects:
            assert run.end is None, "told after its end"
            if isinstance(effect, Invoke):
                assert run.call is None
                assert effect.member in self.alive
                self.check_key(run.key, effect.member)
                run.call = effect
            elif isinstance(effect, Wake):
                assert runid not in effect.runids
                self.news.extend(effect.runids)
            elif isinstance(effect, (Finish, Fail)):
                run.end = effect
        if run.end is not None:
            self.close(runid)

    def check_key(self, key: str | None, member: str) -> None:
        if self.keyed and key is not None:
            assert self.bound.setdefault(key, member) == member, "a key left a replica that lives"

    def close(self, runid: str) -> None:
        self.news.extend(self.runs.pop(runid).course.close())

    def done(self, runid: str, *, failed: bool) -> None:
        run = self.runs[runid]
        assert run.call is not None
        step, run.call = run.call.step, None
        self.carry_out(runid, run.course.take(Failed(step, "boom") if failed else Done(step, {"out": 1}), 0))
        assert run.end is not None

    def tell_loss(self, runid: str) -> None:
        run = self.runs[runid]
        assert run.call is not None
        step, run.call, run.lost = run.call.step, None, False
        self.carry_out(runid, run.course.take(Failed(step, "offline", gone=True), 0))


class _KeyedPools(_Pools):
    keyed = True


_SETTINGS = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPools = _Pools.TestCase
TestPools.settings = _SETTINGS
TestKeyedPools = _KeyedPools.TestCase
TestKeyedPools.settings = _SETTINGS
