"""The agent of a board against a real broker, on MicroPython with the memory of a chip, and on CPython."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from firmware_bench import WAIT_S, Board, Broker, Listener

Start = Callable[..., Board]

STATE = "em/state/home/board"
SET = "em/in/home/board/set"
ECHO = "em/out/home/board/echo"
ACK = "em/ack/home/board"


def status(payload: bytes) -> str:
    return str(json.loads(payload)["status"])


def is_ready(payload: bytes) -> bool:
    return status(payload) == "ready"


def event(command_id: str, data: Any, **more: Any) -> str:
    return json.dumps({"specversion": "1.0", "id": command_id, "source": "/home/rule", "type": "em.in.set", "data": data, **more})


def counts_of(board: Board) -> dict[str, int]:
    found: dict[str, int] = json.loads(board.said().strip().splitlines()[-1])
    return found


def test_birth_names_the_device_and_its_session(broker: Broker, listener: Listener, board: Start) -> None:
    board("board.py", broker.port)
    state = json.loads(listener.wait_for(STATE, is_ready))
    assert sorted(state) == ["host", "revision", "rules", "session", "since", "status", "v"]
    assert (state["v"], state["host"], state["revision"], state["rules"]) == (1, "home:board", 0, None)
    assert state["since"].startswith("20")
    assert state["since"].endswith("Z")


def test_readings_come_out(broker: Broker, listener: Listener, board: Start) -> None:
    board("board.py", broker.port)
    assert listener.wait_for("em/out/home/board/tick") == b"1"


def test_bare_commands_of_every_kind(broker: Broker, listener: Listener, board: Start) -> None:
    board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    for payload in [b"on", b"21.5", b"true", b'{"a": [1, "\xc3\xbc"]}', "grün".encode(), b"\xff\x00\xfe", b""]:
        listener.publish(SET, payload)
        heard = listener.wait_for(ECHO)
        assert heard == payload or json.loads(heard) == json.loads(payload)


def test_an_event_is_acknowledged_once_carried_out_and_never_twice(broker: Broker, listener: Listener, board: Start) -> None:
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    for _ in range(2):
        listener.publish(SET, event("i1", {"fan": "on"}))
        assert json.loads(listener.wait_for(ACK)) == {"id": "i1"}
    listener.publish(SET, event("i2", "last"))
    listener.wait_for(ACK)
    assert process.interrupt() == 0
    counts = counts_of(process)
    assert counts["done"] == 2
    assert counts["repeated"] >= 1, "a broker may deliver at QoS 1 once more"


def test_what_is_refused_says_why_and_carries_nothing_out(broker: Broker, listener: Listener, board: Start) -> None:
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    listener.publish(SET, event("late", 1, expirytime="2020-01-01T00:00:00Z"))
    assert json.loads(listener.wait_for(ACK)) == {"id": "late", "error": "it has expired"}
    listener.publish(SET, event("bad", "refuse me"))
    assert json.loads(listener.wait_for(ACK)) == {"id": "bad", "error": "ValueError: no"}
    listener.publish(SET, '{"specversion": "1.0", "source": "/x", "type": "t"}')
    listener.publish("em/in/home/board/unheard_of", "1")
    listener.publish(SET, "x" * 5000)
    listener.publish("em/in/home/board/" + "y" * 2000, "1")
    listener.publish(SET, b"[" * 900)
    listener.publish(SET, event("fine", 1, expirytime="2099-01-01T00:00:00.25+01:00"))
    assert json.loads(listener.wait_for(ACK)) == {"id": "fine"}
    assert process.interrupt() == 0
    counts = counts_of(process)
    assert (counts["expired"], counts["failed"], counts["oversize"]) == (1, 1, 2)
    assert counts["malformed"] in (2, 3)  # the many brackets are text, or more than the memory holds


def test_oversize_does_not_come_again_after_a_reconnect(broker: Broker, listener: Listener, board: Start) -> None:
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    listener.publish(SET, "x" * 5000)
    listener.publish(SET, "small")
    assert listener.wait_for(ECHO) == b"small"
    process.interrupt()
    again = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    listener.publish(SET, "small")
    assert listener.wait_for(ECHO) == b"small"
    again.interrupt()
    assert counts_of(again)["oversize"] == 0


def test_a_killed_board_is_offline_by_its_will(broker: Broker, listener: Listener, board: Start) -> None:
    process = board("board.py", broker.port)
    born = json.loads(listener.wait_for(STATE, is_ready))
    process.kill()
    dead = json.loads(listener.wait_for(STATE))
    del born["rules"]  # that it judges none is no news any more
    assert dead == {**born, "status": "offline", "since": None}


def test_a_stopped_board_says_offline_itself(broker: Broker, listener: Listener, board: Start) -> None:
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    listener.publish("em/in/home/board/stop", "now")
    state = json.loads(listener.wait_for(STATE))
    assert (state["status"], state["since"] is None) == ("offline", False)
    assert process.process.wait(WAIT_S) == 0


def test_after_a_broker_crash_all_is_as_before(broker: Broker, listener: Listener, board: Start) -> None:
    """The new broker knows neither the session, nor the retained value, nor the state: the board tells it all."""
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    listener.publish("em/in/home/board/keep", "7")
    assert listener.wait_for("em/out/home/board/kept") == b"7"
    broker.kill()
    process.wait_for_line("not connected", 3)
    broker.start()
    process.wait_for_line("connected as home:board", 2)
    newcomer = Listener(broker.port)
    try:
        assert newcomer.wait_for(STATE, is_ready)
        newcomer.publish(SET, "again")
        assert newcomer.wait_for(ECHO) == b"again"
    finally:
        newcomer.close()
    late = Listener(broker.port)
    try:
        assert late.wait_for("em/out/home/board/kept") == b"7"
    finally:
        late.close()
    assert process.interrupt() == 0


def test_a_board_waits_for_a_broker_that_is_not_there_yet(broker: Broker, board: Start) -> None:
    broker.kill()
    process = board("board.py", broker.port)
    process.wait_for_line("not connected", 4)
    broker.start()
    process.wait_for_line("connected as home:board")
    assert process.interrupt() == 0


def test_retries_are_spaced_out(server: Callable[..., Any], board: Start) -> None:
    accepted: list[float] = []
    process = board("board.py", server(lambda _connection, _number: accepted.append(time.monotonic())).port)
    process.wait_for_line("not connected", 8)
    gaps = [later - earlier for earlier, later in itertools.pairwise(accepted)]
    assert gaps[0] < 5.0
    # Of a single one a busy machine may have seen the beginning late.
    assert sum(gaps[2:]) >= 0.09 * (len(gaps) - 2) - 0.1, "half of 200 ms is the least wait once the delay has grown"
    assert process.interrupt() == 0


def test_a_long_burst_of_commands_stays_within_the_memory(broker: Broker, listener: Listener, board: Start) -> None:
    """2,000 commands at once, more than the whole heap holds; each is carried out once and in order."""
    process = board("board.py", broker.port)
    listener.wait_for(STATE, is_ready)
    for number in range(2000):
        listener.send("em/in/home/board/keep", f'{{"n": {number}, "fill": "{"x" * 100}"}}')
    listener.wait_for("em/out/home/board/kept", lambda payload: json.loads(payload)["n"] == 1999)
    assert process.interrupt() == 0
    assert counts_of(process)["done"] == 2000
