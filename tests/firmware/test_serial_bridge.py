"""The bridge on real lines: a broker, a bridge, and boards on MicroPython and CPython with a pseudo-terminal between them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Board, Broker, Listener
from serial_bench import GREETING, Noise
from serial_line import BridgeProcess, PtyLine, event, is_offline, is_ready, status

from edgematrix.errors import UsageError
from firmware_bridge.serial.kind import Kind
from firmware_bridge.serial.place import read_places
from firmware_bridge.upy.serial_frame import Reader, pack

Start = Callable[..., Board]
Plug = Callable[..., PtyLine]
Bridge = Callable[..., BridgeProcess]

PATH = "home/shed/board"
STATE = f"em/state/{PATH}"
SET = f"em/in/{PATH}/set"
ACK = f"em/ack/{PATH}"
OUT = f"em/out/{PATH}"


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    made: list[PtyLine] = []

    def start(**options: object) -> PtyLine:
        made.append(PtyLine(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for line in made:
        line.close()


@pytest.fixture
def bridge(broker: Broker, tmp_path: Path) -> Iterator[Bridge]:
    """Start a bridge for these devices; a file alone is the line of the board."""
    started: list[BridgeProcess] = []

    def start(*lines: str, more: tuple[str, ...] = ()) -> BridgeProcess:
        words = [word for line in lines for word in ("--line", f"{PATH}={line}" if line.startswith("/") else line)]
        words += ["--broker", f"mqtt://127.0.0.1:{broker.port}", *more]
        started.append(BridgeProcess(words, tmp_path / f"bridge{len(started)}.log"))
        return started[-1]

    yield start
    for found in started:
        found.kill()
        assert "Traceback" not in found.said(), found.said()


def ended(listener: Listener, count: int) -> dict[str, str]:
    """The first so many different commands that were answered, and the errors."""
    found: dict[str, str] = {}

    def enough(payload: bytes) -> bool:
        answer = json.loads(payload)
        found.setdefault(answer["id"], answer.get("error", ""))
        return len(found) == count

    listener.wait_for(ACK, enough)
    return found


def done_by(board: Board) -> list[str]:
    return [line.removeprefix("did ") for line in board.said().splitlines() if line.startswith("did ")]


def test_a_board_is_born_obeys_and_refuses(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    line = plug()
    board("serial_board.py", line.boards[0])
    process = bridge(str(line.path))
    state = json.loads(listener.wait_for(STATE, is_ready))
    assert sorted(state) == ["host", "line", "revision", "session", "since", "status", "v"]
    assert (state["v"], state["host"], state["line"]["port"]) == (1, "home:shed:board", f"{line.path}@115200")
    assert int(listener.wait_for(f"{OUT}/tick")) > 0
    listener.publish(SET, event("a", {"level": 7}))
    assert json.loads(listener.wait_for(f"{OUT}/echo")) == {"level": 7}
    listener.publish(SET, event("b", "refuse me"))
    assert json.loads(listener.wait_for(ACK, lambda payload: b'"b"' in payload)) == {"id": "b", "error": "ValueError: no"}
    listener.publish(SET, "bare")
    assert listener.wait_for(f"{OUT}/echo") == b"bare"
    listener.publish(f"em/in/{PATH}/nothing", event("c", 1))
    assert b"there is no port nothing" in listener.wait_for(ACK)
    listener.publish(SET, event("d", "x" * 300))
    assert b"the value has 300 bytes, 244 is the most" in listener.wait_for(ACK)
    assert process.end() == 0
    assert json.loads(listener.wait_for(STATE, is_offline))["reason"] == "the bridge was stopped"


def test_over_a_noisy_line_one_byte_at_a_time(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    """Bits are flipped, bytes are lost and added: no wrong value, no command lost or done twice, and no event either."""
    seed = 20261123
    line = plug(noise=Noise(seed, 0.0008, 0.0008, 0.0004), bytes_max=1)
    process = board("serial_board.py", line.boards[0])
    bridge(str(line.path))
    listener.wait_for(STATE, is_ready)
    for number in range(60):
        listener.send(SET, event(f"c{number}", number))
    listener.send(f"em/in/{PATH}/presses", event("press", 20))
    heard: list[int] = []
    listener.wait_for(f"{OUT}/press", lambda payload: heard.append(int(payload)) or len(heard) == 20)  # type: ignore[func-returns-value]
    about = f"seed {seed}, {line.noise.done} spoilt, {process.said()}"
    assert heard == list(range(20)), about
    assert done_by(process) == [str(number) for number in range(60)], about
    assert line.noise.done > 5, about


def test_a_line_that_is_unplugged_is_opened_again_and_commands_wait(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    line = plug()
    process = board("serial_board.py", line.boards[0])
    bridge(str(line.path))
    listener.wait_for(STATE, is_ready)
    line.unplug()
    assert "is gone" in json.loads(listener.wait_for(STATE, is_offline))["reason"]
    listener.publish(SET, event("a", "waited"))
    assert b"is it plugged in?" in listener.wait_for(STATE, lambda payload: b"plugged" in payload)
    line.plug()
    assert json.loads(listener.wait_for(ACK)) == {"id": "a"}
    assert done_by(process) == ["waited"]


@pytest.mark.parametrize("interpreter", ["micropython"], indirect=True)
def test_a_bridge_that_is_killed_loses_no_command_and_repeats_none(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    """Three times kill -9, while 300 commands are on their way: those that the device did are not done again."""
    seed, count = 7, 300
    line = plug(noise=Noise(seed, 0.0004, 0.0004))
    process = board("serial_board.py", line.boards[0])
    found = bridge(str(line.path))
    listener.wait_for(STATE, is_ready)
    for number in range(count):
        listener.send(SET, event(f"c{number}", number))
    for _ in range(3):
        process.wait_for_line(f"did {len(done_by(process)) + 5}\n")
        found.kill()
        listener.wait_for(STATE, lambda payload: b"the bridge is gone" in payload)
        assert len(done_by(process)) < count, "it was over before it was killed"
        found.restart()
    process.wait_for_line(f"did {count - 1}\n")
    assert done_by(process) == [str(number) for number in range(count)], f"seed {seed}"
    listener.wait_for(ACK, lambda payload: json.loads(payload)["id"] == f"c{count - 1}")


@pytest.mark.parametrize("interpreter", ["micropython"], indirect=True)
def test_a_broker_that_is_gone_finds_everything_again(broker: Broker, listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    """It forgets what it retained; the state and the last retained value are there again, and an event that was pressed meanwhile."""
    line = plug()
    board("serial_board.py", line.boards[0])
    bridge(str(line.path))
    listener.wait_for(STATE, is_ready)
    listener.publish(SET, "kept")
    listener.wait_for(f"{OUT}/echo")
    listener.publish(f"em/in/{PATH}/presses", event("p", 40))
    listener.wait_for(f"{OUT}/press", lambda payload: payload == b"3")
    broker.kill()
    broker.start()
    late = Listener(broker.port)
    try:
        late.wait_for(STATE, is_ready)
        assert late.wait_for(f"{OUT}/echo") == b"kept"
        assert late.wait_for(f"{OUT}/press", lambda payload: payload == b"39")
    finally:
        late.close()


@pytest.mark.parametrize("interpreter", ["cpython"], indirect=True)
def test_two_boards_on_one_line_are_two_agents(broker: Broker, listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    line = plug(boards=2)
    process = bridge(f"home/one={line.path}#1", f"home/two={line.path}#2")
    for number, name in ((1, "one"), (2, "two")):
        board("serial_board.py", line.boards[number - 1], name, number)
        listener.wait_for(f"em/state/home/{name}", is_ready)
        listener.publish(f"em/in/home/{name}/set", name)
        assert listener.wait_for(f"em/out/home/{name}/echo") == name.encode()
    process.kill()
    for name in ("one", "two"):
        late = Listener(broker.port)
        late.wait_for(f"em/state/home/{name}", is_offline)
        late.close()


@pytest.mark.parametrize("interpreter", ["cpython"], indirect=True)
def test_one_that_says_it_is_another_is_failed(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    line = plug()
    process = board("serial_board.py", line.boards[0], "pump")
    bridge(str(line.path))
    state = json.loads(listener.wait_for(STATE, lambda payload: status(payload) == "failed"))
    assert state["reason"] == "it says that it is 'pump', and 'board' is expected here"
    process.kill()
    board("serial_board.py", line.boards[0])
    listener.wait_for(STATE, is_ready)


def welcomed(line: PtyLine) -> bytes:
    """The session that the bridge gives to the first board."""
    reader = Reader()
    with Path(line.boards[0]).open("rb", buffering=0) as stream:
        while True:
            for _, kind, _, payload in reader.feed(stream.read(64)):
                if kind == Kind.WELCOME:
                    return payload


def test_whatever_is_on_the_line_is_counted_on_the_state(listener: Listener, plug: Plug, bridge: Bridge) -> None:
    """A frame of 64 KiB, one that is cut, a wrong check, another address, our own echo, one that floods: then a good device."""
    line = plug()
    process = bridge(str(line.path))
    process.wait_for_line("is open")
    good = pack(0, Kind.EMIT, 1, b"\0007")
    spoilt = bytearray(good)
    spoilt[-3] ^= 1
    line.say(
        b"\0" + b"\x07" * 65_536 + b"\0" + good[:5] + bytes(2) + bytes(spoilt) + pack(9, Kind.EMIT, 1, b"\0007") + pack(0, Kind.WHO, 0)
    )
    greeting = GREETING.replace(b"pump", b"board")
    line.say(pack(0, Kind.HELLO, 0, greeting))
    listener.wait_for(STATE, is_offline)
    line.say(pack(0, Kind.HERE, 0, welcomed(line) + bytes(2)))
    state = json.loads(listener.wait_for(STATE, is_ready))
    counts = state["line"]["counts"]
    assert {name: counts[name] for name in ("too_long", "cut", "crc", "address", "echo")} == dict.fromkeys(
        ("too_long", "cut", "crc", "address", "echo"), 1
    )
    line.say(b"".join(pack(0, Kind.EMIT, number & 255, b"\0%d" % number) for number in range(2_000)))
    line.say(pack(0, Kind.HELLO, 0, greeting))
    flood = json.loads(listener.wait_for(STATE, is_offline))["line"]["counts"]
    assert flood["flood"] + flood["emitted"] == 2_000
    assert flood["emitted"] < 400
    assert process.end() == 0


@pytest.mark.parametrize("interpreter", ["cpython"], indirect=True)
def test_a_retained_command_and_a_malformed_one_are_refused(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    listener.publish(SET, "old", retain=True)
    line = plug()
    process = board("serial_board.py", line.boards[0])
    found = bridge(str(line.path))
    listener.wait_for(STATE, is_ready)
    listener.publish(SET, '{"specversion": "1.0", "id": 7}')
    listener.publish(SET, json.dumps({**json.loads(event("late", 1)), "expirytime": "2020-01-01T00:00:00Z"}))
    assert b"expired" in listener.wait_for(ACK)
    listener.publish(SET, event("last", "last"))
    listener.wait_for(ACK, lambda payload: b"last" in payload)
    assert done_by(process) == ["last"]
    assert found.said().count("is refused") == 2


def test_a_line_is_one_bridges_alone(plug: Plug, bridge: Bridge) -> None:
    line = plug()
    bridge(str(line.path)).wait_for_line("is open")
    bridge(f"home/shed/other={line.path}").wait_for_line(f"another program has {line.path}")


def test_what_is_no_line_is_said(bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = bridge(str(tmp_path / "file"), f"home/a={tmp_path}", "home/b=socket://127.0.0.1:9")
    for text in (f"{tmp_path}/file is no serial line", f"{tmp_path} is no serial line", "nobody listens at socket://127.0.0.1:9"):
        process.wait_for_line(text)
    assert process.end() == 0


@pytest.mark.parametrize("interpreter", ["cpython"], indirect=True)
def test_a_durable_edge_is_acknowledged_once_it_is_done(listener: Listener, board: Start, plug: Plug, bridge: Bridge) -> None:
    """Each once and in order; what comes early or again is not done, and its sender hears how far it is; also after a kill -9."""
    line = plug()
    process = board("serial_board.py", line.boards[0])
    found = bridge(str(line.path))
    listener.wait_for(STATE, is_ready)

    def send(sequence: int, **more: int) -> int:
        about = {**json.loads(event(f"d{sequence}", sequence)), "edgeepoch": 3, "sequence": sequence, **more}
        listener.publish(SET, json.dumps(about))
        ack = json.loads(listener.wait_for(ACK, lambda payload: b"edge" in payload))
        assert ack.items() >= {"v": 1, "edge": f"home/rule>{PATH}.set", "epoch": 3}.items()
        return int(ack["seq"])

    assert [send(1), send(2), send(2), send(5), send(3)] == [1, 2, 2, 2, 3]
    found.kill()
    found.restart()
    listener.wait_for(STATE, is_ready)
    assert [send(4), send(3, edgebase=3), send(4)] == [0, 3, 4]
    assert done_by(process) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no device is named"),
        (["home/a"], "= and its line are missing"),
        (["Home/a=/dev/null"], "does not match"),
        (["home/a="], "no line is named"),
        (["home/a=/dev/x@fast"], "the speed 'fast'"),
        (["home/a=/dev/x#256"], "the address '256'"),
        (["home/a=socket://x"], "the socket is no host and port"),
        (["home/a=/dev/x", "home/a=/dev/y"], "home/a is there twice"),
        (["home/a=/dev/x", "home/b=/dev/x"], "have the address 0"),
        (["home/a=/dev/x#1", "home/b=/dev/x@9600#2"], "has two speeds"),
    ],
)
def test_a_wrong_line_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read_places(lines)


def test_a_wrong_line_is_said_and_nothing_is_begun(bridge: Bridge) -> None:
    process = bridge("home/a")
    assert process.process.wait(WAIT_S) == 2
    assert "--line home/a: error: after the device's path, = and its line are missing" in process.said()


def test_a_right_one_is_read() -> None:
    found = read_places(["home/a=/dev/ttyS0", "home/b=/dev/ttyS0#7", "home/c=COM3@9600", "home/d=socket://[::1]:4000#1"])
    assert [(place.port, place.baud, place.address, place.line) for place in found] == [
        ("/dev/ttyS0", 115_200, 0, "/dev/ttyS0@115200"),
        ("/dev/ttyS0", 115_200, 7, "/dev/ttyS0@115200"),
        ("COM3", 9_600, 0, "COM3@9600"),
        ("socket://[::1]:4000", 0, 1, "socket://[::1]:4000"),
    ]
