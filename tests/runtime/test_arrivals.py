"""What has come of calls from elsewhere is known as long as something of it is yet to come."""

from __future__ import annotations

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.arrivals import Arrivals
from edgematrix.runtime.kept_call import KeptCall


def kept(runid: str, inputs: int) -> KeptCall:
    return KeptCall(runid, AgentPath("home/a"), AgentPath("home/b"), (), inputs, True, "", {}, "", "")


def test_a_call_that_lacks_inputs_outlives_any_number_of_others() -> None:
    touched: list[str] = []
    arrivals = Arrivals(touched.append)
    arrivals.begin("r", ("left",))
    arrivals.end(kept("r", 2), is_certain=True)
    for number in range(20_000):
        arrivals.begin(str(number), ("in",))
        arrivals.end(kept(str(number), 1), is_certain=True)
    assert arrivals.of("r") == {"left"}
    assert arrivals.lacking("r") == kept("r", 2)
    arrivals.came("r", "right")
    assert arrivals.of("r") == {"left", "right"}
    assert arrivals.lacking("r") is None
    assert touched == ["r", "r"]
    assert arrivals.of("0") is None


def test_what_is_open_is_known_however_many_are() -> None:
    arrivals = Arrivals(lambda runid: None)
    for number in range(20_000):
        arrivals.begin(str(number), ("left",))
    arrivals.came("0", "right")
    assert arrivals.of("0") == {"left", "right"}


def test_as_many_lack_inputs_as_are_remembered_and_no_more() -> None:
    touched: list[str] = []
    arrivals = Arrivals(touched.append)
    for number in range(10_001):
        arrivals.end(kept(str(number), 2), is_certain=True, ports=("left",))
    assert arrivals.lacking("0") is None
    assert arrivals.lacking("1") is not None
    assert touched[-1] == "0"


def test_a_call_of_which_less_was_given_than_was_to_be_lacks_nothing() -> None:
    touched: list[str] = []
    arrivals = Arrivals(touched.append)
    arrivals.end(kept("r", 3), is_certain=True, ports=("left",))
    arrivals.end(kept("r", 1), is_certain=True, ports=("left",))
    assert arrivals.lacking("r") is None
    assert touched == ["r", "r"]
    arrivals.came("r", "right")
    assert touched == ["r", "r"]
