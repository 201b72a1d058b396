"""Whatever happens to a group, its deadline is exact, what it stores is what it knows, and its keys do not touch one another."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_group_against_naive import MESSAGES, drive_runs, groups, timed
from trigger_drive import Drive

from edgematrix.triggers import Tick


def stored(drive: Drive) -> dict[str, bytes]:
    drive.save()
    return dict(drive.store)


def without_time(parts: dict[str, bytes], drive: Drive) -> Any:
    """The stored parts as the group reads them, without the moment of the last step."""
    state = drive.group.load(parts)
    state.latest_us = 0
    state.changed = True
    return drive.group.save(state)


class GroupMachine(RuleBasedStateMachine):
    """Messages, time, restarts and runs, in any order."""

    @initialize(group=groups(), run_s=st.sampled_from([0, 3, None]))
    def begin(self, group: Any, run_s: float | None) -> None:
        self.spec, _ = group
        self.drive = Drive(self.spec, run_s=run_s)
        self.at = 0.0

    @rule(
        wait=st.sampled_from([0, 0, 1, 1, 2.5, 7]),
        place=st.integers(0, 3),
        value=st.sampled_from([0, 1, 2, 3, 4, "unknown"]),
        old=st.booleans(),
    )
    def hear(self, wait: float, place: int, value: Any, old: bool) -> None:
        self.at += wait
        self.drive.send(self.at, f"t/{place}", value, retained=old and value == 3)
        self.drive.to(self.at)  # what is pending is settled at this instant

    @rule(wait=st.sampled_from([0.5, 1, 3, 11]))
    def wait(self, wait: float) -> None:
        self.at += wait
        self.drive.to(self.at)

    @rule(down=st.sampled_from([0, 0, 1, 20]))
    def restart(self, down: float) -> None:
        self.drive.restart(self.at, down)
        self.at += down
        self.drive.to(self.at)

    @invariant()
    def the_deadline_is_ahead(self) -> None:
        if hasattr(self, "drive") and self.drive.deadline_us is not None:
            assert self.drive.deadline_us > self.drive.now_us

    @invariant()
    def before_the_deadline_time_changes_nothing(self) -> None:
        if not hasattr(self, "drive") or self.drive.deadline_us is None:
            return
        before = without_time(stored(self.drive), self.drive)
        state = self.drive.group.load(stored(self.drive))
        early = self.drive.deadline_us - 1
        resumed = self.drive.group.resume(state, self.drive.now_us, runs_kept=range(10_000))
        assert resumed.deadline_us == self.drive.deadline_us
        step = self.drive.group.step(resumed.state, Tick(), early)
        assert (list(step.effects), step.deadline_us, list(step.traces)) == ([], self.drive.deadline_us, [])
        assert without_time({"": b"", **self.drive.group.save(step.state)}, self.drive) == before

    @invariant()
    def at_the_deadline_something_happens(self) -> None:
        if not hasattr(self, "drive") or self.drive.deadline_us is None:
            return
        before = without_time(stored(self.drive), self.drive)
        state = self.drive.group.load(stored(self.drive))
        resumed = self.drive.group.resume(state, self.drive.now_us, runs_kept=range(10_000))
        step = self.drive.group.step(resumed.state, Tick(), self.drive.deadline_us)
        assert without_time({"": b"", **self.drive.group.save(step.state)}, self.drive) != before


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups(), MESSAGES, st.lists(st.sampled_from("abc"), min_size=40, max_size=40), st.sampled_from([0, 2]))
def test_keys_do_not_touch_one_another(group: Any, raw: list[Any], rooms: list[str], run_s: int):
    """A keyed group is as many groups as it has keys, however their messages are mixed."""
    spec, _ = group
    on = {name: source for name, source in spec["on"].items() if "every" not in source and "absent" not in source}
    if not any(source.get("role", "regular") == "regular" for source in on.values()):
        return
    if isinstance(spec["need"], int) or not {"s0", "s1"} <= set(on):
        spec = {key: value for key, value in spec.items() if key != "if"} | {"need": "all"}
    keyed = spec | {"by": "room", "on": {name: _with_topic(source, "{room}/") for name, source in on.items()}}
    plain = spec | {"on": on}
    messages = timed(plain, raw)
    until = (messages[-1][0] if messages else 0) + 20
    together = Drive(keyed, run_s=run_s)
    alone = {room: Drive(plain, run_s=run_s) for room in "abc"}
    for (at, topic, value, retained), room in zip(messages, rooms, strict=False):
        together.send(at, f"{room}/{topic}", value, retained=retained)
        alone[room].send(at, topic, value, retained=retained)
    together.to(until)
    for room, drive in alone.items():
        drive.to(until)
        mine = [run for run, (_, firing) in zip(drive_runs(together), together.fired, strict=True) if firing.key == room]
        assert mine == drive_runs(drive)


def _with_topic(source: dict[str, Any], prefix: str) -> dict[str, Any]:
    return source | ({"topic": prefix + source["topic"]} if "topic" in source else {})
