"""From a firing to its run: cooldown, limit, throttle, debounce, the rate, and the mode, in this order."""

from __future__ import annotations

from collections import deque

from edgematrix.errors import ExpressionError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.triggers.effect import Cancel, DeadLetter, Start
from edgematrix.triggers.firing import Firing
from edgematrix.triggers.outlet import Outlet
from edgematrix.triggers.plan import Plan, Stages
from edgematrix.triggers.state import GroupState, Instance
from edgematrix.triggers.trace import Reason, Trace

__all__ = [
    "admit", "hand_over", "next_of_queue", "pass_on", "pass_pending", "release_debounced", "release_throttled", "run_ended", "take_judged",
]  # fmt: skip


def pass_on(plan: Plan, state: GroupState, instance: Instance, firing: Firing, at_us: int) -> None:
    """Send a firing through all stages."""
    outlet = instance.outlet
    if outlet is None:
        outlet = instance.outlet = Outlet()
    stages = plan.stages
    if stages is None:
        _pass_rate(plan, state, instance, firing, at_us)
    elif _cools(plan, state, instance, stages, outlet, at_us) and _limits(plan, state, instance, stages, outlet, at_us):
        _throttle(plan, state, instance, firing, at_us)


def release_throttled(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> None:
    """The throttle's time is over: the last of what it held goes on."""
    outlet = instance.outlet
    if outlet is not None and outlet.throttled is not None:
        firing, outlet.throttled = outlet.throttled, None
        outlet.throttled_us = at_us
        _debounce(plan, state, instance, firing, at_us)


def release_debounced(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> None:
    """Nothing has come for as long as `debounce` says: what it held goes on."""
    outlet = instance.outlet
    if outlet is not None and outlet.debounced is not None:
        firing, outlet.debounced = outlet.debounced, None
        _pass_rate(plan, state, instance, firing, at_us)


def admit(plan: Plan, state: GroupState, instance: Instance, firing: Firing) -> None:
    """Let the mode decide: start, wait, or drop.

    A run that this very step has started may be over at once. What it would stand in the way of is pending until
    the caller says so, or ticks.
    """
    outlet = _outlet(instance)
    running = len(outlet.running)
    if not running or (plan.mode == "parallel" and running < plan.run_max):
        _start(state, instance, outlet, firing)
    elif plan.mode == "restart":
        for run in outlet.running:
            _cancel(state, run)
        outlet.running.clear()
        _start(state, instance, outlet, firing)
    elif plan.mode == "queued" and running + len(outlet.queue or ()) < plan.run_max:
        _enqueue(plan, state, instance, outlet, firing)
    elif outlet.started_step == state.steps:
        state.pending = [*(state.pending or ()), (instance, firing)]
    elif plan.mode == "single":
        state.traces.append(Trace(Reason.RUNNING, plan.name, instance.key))
    else:
        _overflow(plan, state, instance, outlet, firing)


def run_ended(plan: Plan, state: GroupState, run: int) -> Instance | None:
    """A run is over; the next one may start. Whose it was; None if it is not known."""
    instance = state.main if state.keys is None else state.keys.owners.pop(run, None)
    if instance is None or instance.outlet is None or run not in instance.outlet.running:
        return None
    del instance.outlet.running[run]
    next_of_queue(state, instance)
    waiting = state.pending or []
    place = next((place for place, (owner, _) in enumerate(waiting) if owner is instance), None)
    if place is not None:
        _, firing = waiting.pop(place)
        state.pending = waiting or None
        admit(plan, state, instance, firing)
    return instance


def next_of_queue(state: GroupState, instance: Instance) -> None:
    """Start the oldest firing that waits, if nothing runs."""
    outlet = instance.outlet
    if outlet is not None and outlet.queue and not outlet.running:
        _start(state, instance, outlet, outlet.queue.popleft())


def pass_pending(plan: Plan, state: GroupState) -> list[Instance]:
    """The runs of the last step go on, so what is pending meets the mode. Whose it was."""
    waiting, state.pending = state.pending or [], None
    for instance, firing in waiting:
        admit(plan, state, instance, firing)
    return [instance for instance, _ in waiting]


def take_judged(plan: Plan, state: GroupState, firing: Firing, at_us: int) -> list[Instance]:
    """Let a firing in that a board has judged (it has no keys): whose states have changed."""
    touched = [*pass_pending(plan, state), state.main]
    if plan.if_ is None:
        _pass_rate(plan, state, state.main, firing, at_us)
        return touched
    try:
        refusal = None if plan.if_.holds(firing.scope()) else Trace(Reason.IF_FALSE, plan.name)
    except ExpressionError as error:
        refusal = Trace(Reason.IF_ERROR, plan.name, None, "", (error.what,))
    if refusal is None:
        pass_on(plan, state, state.main, firing, at_us)
    else:
        state.traces.append(refusal)
    return touched


def hand_over(plan: Plan, state: GroupState) -> None:
    """Forget values, tokens and levels: somebody else knows newer ones."""
    main = state.main
    main.cells = [None] * len(plan.sources)
    main.tokens = [()] * len(plan.sources)
    main.mask = main.done = 0


def _outlet(instance: Instance) -> Outlet:
    if instance.outlet is None:
        instance.outlet = Outlet()
    return instance.outlet


def _cools(plan: Plan, state: GroupState, instance: Instance, stages: Stages, outlet: Outlet, at_us: int) -> bool:
    if stages.cooldown_us is None:
        return True
    if outlet.passed_us is not None and at_us - outlet.passed_us < stages.cooldown_us:
        left_us = outlet.passed_us + stages.cooldown_us - at_us
        state.traces.append(Trace(Reason.COOLDOWN, plan.name, instance.key, "", (left_us,)))
        return False
    outlet.passed_us = at_us
    return True


def _limits(plan: Plan, state: GroupState, instance: Instance, stages: Stages, outlet: Outlet, at_us: int) -> bool:
    if stages.limit_count is None:
        return True
    passes = outlet.passes
    if passes is None:
        passes = outlet.passes = deque()
    while passes and at_us - passes[0] >= stages.limit_per_us:
        passes.popleft()
    if len(passes) >= stages.limit_count:
        state.traces.append(Trace(Reason.LIMIT, plan.name, instance.key, "", (stages.limit_count, stages.limit_per_us)))
        return False
    passes.append(at_us)
    return True


def _throttle(plan: Plan, state: GroupState, instance: Instance, firing: Firing, at_us: int) -> None:
    throttle_us = None if plan.stages is None else plan.stages.throttle_us
    outlet = _outlet(instance)
    if throttle_us is None:
        _debounce(plan, state, instance, firing, at_us)
    elif outlet.throttled is None and (outlet.throttled_us is None or at_us - outlet.throttled_us >= throttle_us):
        outlet.throttled_us = at_us
        _debounce(plan, state, instance, firing, at_us)
    else:
        if outlet.throttled is not None:
            state.traces.append(Trace(Reason.REPLACED, plan.name, instance.key))
        outlet.throttled = firing
        left_us = (outlet.throttled_us or 0) + throttle_us - at_us
        state.traces.append(Trace(Reason.THROTTLED, plan.name, instance.key, "", (max(left_us, 0),)))


def _debounce(plan: Plan, state: GroupState, instance: Instance, firing: Firing, at_us: int) -> None:
    debounce_us = None if plan.stages is None else plan.stages.debounce_us
    if debounce_us is None:
        _pass_rate(plan, state, instance, firing, at_us)
        return
    outlet = _outlet(instance)
    if outlet.debounced is not None:
        state.traces.append(Trace(Reason.REPLACED, plan.name, instance.key))
    outlet.debounced = firing
    outlet.debounce_due_us = at_us + debounce_us
    state.traces.append(Trace(Reason.DEBOUNCED, plan.name, instance.key, "", (debounce_us,)))


def _pass_rate(plan: Plan, state: GroupState, instance: Instance, firing: Firing, at_us: int) -> None:
    """Count the group's firings by the second, all keys together; beyond `rate_max` it pauses until the second is over."""
    if plan.rate_max is not None:
        if at_us - state.rate_from_us >= SECOND_US or at_us < state.rate_from_us:
            state.rate_from_us = at_us
            state.rate_count = 0
        if state.rate_count >= plan.rate_max:
            state.traces.append(Trace(Reason.RATE, plan.name, instance.key, "", (plan.rate_max,)))
            return
        state.rate_count += 1
    admit(plan, state, instance, firing)


def _start(state: GroupState, instance: Instance, outlet: Outlet, firing: Firing) -> None:
    state.runs += 1
    state.changed = True
    outlet.running[state.runs] = None
    outlet.started_step = state.steps
    if state.keys is not None:
        state.keys.owners[state.runs] = instance
    state.effects.append(Start(state.runs, firing))


def _cancel(state: GroupState, run: int) -> None:
    if state.keys is not None:
        state.keys.owners.pop(run, None)
    state.effects.append(Cancel(run))


def _oldest(outlet: Outlet) -> int:
    run = next(iter(outlet.running))
    del outlet.running[run]
    return run


def _enqueue(plan: Plan, state: GroupState, instance: Instance, outlet: Outlet, firing: Firing) -> None:
    if outlet.queue is None:
        outlet.queue = deque()
    outlet.queue.append(firing)
    state.traces.append(Trace(Reason.QUEUED, plan.name, instance.key, "", (len(outlet.queue),)))


def _overflow(plan: Plan, state: GroupState, instance: Instance, outlet: Outlet, firing: Firing) -> None:
    state.traces.append(Trace(Reason.FULL, plan.name, instance.key, "", (plan.run_max, plan.overflow)))
    if plan.overflow == "dead_letter":
        state.effects.append(DeadLetter(firing, f"group {plan.name!r} has {plan.run_max} runs already"))
    elif plan.overflow == "drop_old" and plan.mode == "parallel":
        _cancel(state, _oldest(outlet))
        _start(state, instance, outlet, firing)
    elif plan.overflow == "drop_old" and outlet.queue:
        outlet.queue.popleft()
        outlet.queue.append(firing)
