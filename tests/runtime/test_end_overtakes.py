"""The end of a call elsewhere and its outputs come on edges of their own: either may be there first."""

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.call import Call
from edgematrix.runtime.calls import Calls

CALLER, FAR = AgentPath("home/flow"), AgentPath("home/flow/far")


class Caller:
    def __init__(self, *wanted: str) -> None:
        self.calls = Calls(10)
        self.ended: list[tuple[dict[str, object], str]] = []
        self.call = self.calls.begin("r1", CALLER, FAR, frozenset(wanted), self._answered, inputs=1, is_here=False)
        self.call.afar = {FAR}

    def _answered(self, call: Call, now_us: int) -> None:
        self.ended.append((dict(call.outputs), call.failure))

    def told(self, *outputs: str, failure: str = "") -> None:
        self.calls.told(self.call, FAR, failure, 1, outputs=outputs)
        self.calls.settle(1)

    def heard(self, port: str, value: object) -> None:
        self.calls.heard(self.call, port, value, "", 1)
        self.calls.settle(1)


def test_an_output_that_its_end_has_overtaken_is_waited_for() -> None:
    caller = Caller("out")
    caller.told("out")
    assert caller.ended == []
    caller.heard("out", 7)
    assert caller.ended == [({"out": 7}, "")]


def test_a_port_that_nobody_wants_is_waited_for_too_where_the_wanted_one_never_comes() -> None:
    caller = Caller("out", "more")
    caller.heard("more", 1)
    caller.told("more", "side")
    assert caller.ended == []
    caller.heard("side", 2)
    assert caller.ended == [({"more": 1, "side": 2}, "")]


def test_it_is_waited_for_after_a_restart() -> None:
    caller = Caller("out")
    caller.call.is_kept = True
    caller.told("out")
    kept = caller.calls.keep(caller.call)
    caller.calls = Calls(10)
    caller.call = caller.calls.reopen(kept, caller._answered, None)
    assert list(caller.calls.reopened({FAR})) == []
    caller.heard("out", 7)
    assert caller.ended == [({"out": 7}, "")]


def test_without_outputs_and_with_a_failure_it_is_over_at_once() -> None:
    caller = Caller("out")
    caller.told()
    assert caller.ended == [({}, "")]
    caller = Caller("out")
    caller.told("out", failure="broken")
    assert caller.ended == [({}, "broken")]


def test_a_replica_that_is_durable_is_waited_for_after_a_restart_though_its_pool_would_not_wait_for_it_to_come_back() -> None:
    caller = Caller("out")
    kept = caller.calls.keep(caller.call)
    caller.calls = Calls(10)
    caller.call = caller.calls.reopen(kept, caller._answered, None)
    assert list(caller.calls.reopened({FAR}, {FAR})) == []
    caller.calls.lost(FAR, "its host is offline", 1)
    assert caller.ended == [({}, "its host is offline")]
    caller.calls = Calls(10)
    caller.call = caller.calls.reopen(kept, caller._answered, None)
    assert list(caller.calls.reopened({FAR})) == [(caller.call, "the host went down while it was waited for")]
