"""The bridge's idea of one device: who it is, what it may say, and commands that are neither lost nor done twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_bench import GREETING, SECOND_US, Bus, CDevice, Noise, Quiet, Wire, command, cut, library, new_device, welcome

from firmware_bridge.serial.device import Device, Phase
from firmware_bridge.serial.hello import read_hello
from firmware_bridge.serial.kind import Kind
from firmware_bridge.serial.pace import Pace


@pytest.fixture
def sent() -> list[bytes]:
    """Frames to the device."""
    return []


@pytest.fixture
def device() -> Device:
    return new_device()


@pytest.fixture
def bus(device: Device, sent: list[bytes]) -> Bus:
    found = Bus(device, sent.append)
    device.opened(0)
    found.settle(0)
    return found


def kinds(sent: list[bytes]) -> list[int]:
    return [cut(frame)[1] for frame in sent]


# Who it is


def test_it_is_asked_who_it_is_until_it_says_so(device: Device, bus: Bus, sent: list[bytes]) -> None:
    for second in (1, 2, 3):
        bus.advance(second * SECOND_US)
    assert kinds(sent) == [Kind.WHO] * 4
    welcome(device, bus, 3 * SECOND_US)
    assert kinds(sent)[4:] == [Kind.WELCOME]
    assert (device.phase, device.reason) == (Phase.UP, "")
    assert [port.name for port in device.ports] == ["echo", "level", "set"]


def test_a_welcome_that_is_lost_is_said_again(device: Device, bus: Bus, sent: list[bytes]) -> None:
    device.frame(Kind.HELLO, 0, GREETING, 0)
    bus.settle(0)
    bus.advance(SECOND_US)
    assert kinds(sent) == [Kind.WHO, Kind.WELCOME, Kind.WELCOME]


@pytest.mark.parametrize("payload", [GREETING.replace(b"pump", b"lamp"), GREETING.replace(b"pump", b"pump2")])
def test_who_says_that_it_is_another_is_refused(device: Device, bus: Bus, sent: list[bytes], payload: bytes) -> None:
    welcome(device, bus, greeting=payload)
    device.frame(Kind.EMIT, 1, b"\0007", 1)
    bus.settle(1)
    assert (device.phase.status, bus.published) == ("failed", [])
    assert "and 'pump' is expected here" in device.reason
    assert Kind.WELCOME not in kinds(sent)
    assert device.counts["is_another"] == 1


def test_the_right_one_in_its_place_is_taken_in(device: Device, bus: Bus) -> None:
    device.frame(Kind.HELLO, 0, GREETING.replace(b"pump", b"lamp"), 0)
    bus.settle(0)
    welcome(device, bus, SECOND_US)
    assert device.phase is Phase.UP


def test_one_without_a_name_is_whoever_is_expected(device: Device, bus: Bus) -> None:
    welcome(device, bus, greeting=GREETING.replace(b"pump", b""))
    assert device.phase is Phase.UP


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "has 0 bytes"),
        (b"\x01\0\0\xf9", "has 4 bytes"),
        (b"\x02\0\0\xf9pump", "speaks version 2"),
        (b"\x01\0\0\x0fpump", "room for 15 bytes"),
        (b"\x01\0\0\xf9p\xfcmp", "no ASCII"),
        (b"\x01\0\0\xf9Pump", "its name 'Pump'"),
        (b"\x01\0\0\xf9pump set", "does not begin with"),
        (b"\x01\0\0\xf9pump <", "its port ''"),
        (b"\x01\0\0\xf9pump <Set", "its port 'Set'"),
        (b"\x01\0\0\xf9pump  <set", "does not begin with"),
        (b"\x01\0\0\xf9pump <self", "is reserved"),
        (b"\x01\0\0\xf9pump <set >set", "its port set is there twice"),
        (b"\x01\0\0\xf9pump " + b" ".join(b"<p%d" % number for number in range(33)), "33 ports"),
    ],
)
def test_a_greeting_that_breaks_the_form_is_refused_with_the_reason(device: Device, bus: Bus, payload: bytes, said: str) -> None:
    device.frame(Kind.HELLO, 0, payload, 0)
    assert said in device.reason
    assert device.phase is Phase.REFUSED
    assert device.counts["hello_malformed"] == 1


@given(st.binary(max_size=249))
def test_any_greeting_is_read_or_refused(payload: bytes) -> None:
    try:
        hello = read_hello(payload)
    except ValueError:
        return
    assert len({port.name for port in hello.ports}) == len(hello.ports)


# Whether it is there


def test_a_device_that_is_silent_is_asked_and_then_gone(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    sent.clear()
    for tenth in range(1, 75):
        bus.advance(tenth * SECOND_US // 10)
    assert kinds(sent)[:4] == [Kind.PING] * 4
    assert (device.phase, device.reason) == (Phase.ASKED, "it does not answer")
    assert bus.told[-1] == ("offline", "it does not answer")


def test_one_that_answers_stays(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    for second in range(1, 60):
        bus.advance(second * SECOND_US)
        if kinds(sent)[-1] == Kind.PING:
            device.frame(Kind.HERE, 0, b"\0\1\0\3", second * SECOND_US)
            sent.append(sent[0])
    assert (device.phase, device.damaged) == (Phase.UP, 3)


def test_a_line_that_is_gone_is_told_with_the_reason(device: Device, bus: Bus) -> None:
    welcome(device, bus)
    device.gone("it was unplugged")
    bus.settle(0)
    assert bus.told[-1] == ("offline", "it was unplugged")
    assert device.deadline_us is None
    device.frame(Kind.EMIT, 1, b"\0007", 1)
    assert bus.published == []


# What it says


def test_values_are_published_once_and_gaps_are_counted(device: Device, bus: Bus) -> None:
    welcome(device, bus)
    for number in (255, 0, 0, 3):
        device.frame(Kind.EMIT, number, b"\0%d" % number, 1)
    device.frame(Kind.EMIT, 4, b"\x01on", 1)
    bus.settle(1)
    assert bus.published == [("echo", b"255"), ("echo", b"0"), ("echo", b"3"), ("level", b"on")]
    assert (device.counts["repeated"], device.counts["lost"], device.counts["emitted"]) == (1, 2, 4)


@pytest.mark.parametrize("payload", [b"", b"\x03x", b"\xffx", b"\x02x"])
def test_a_value_on_a_port_that_is_no_output_is_refused(device: Device, bus: Bus, payload: bytes) -> None:
    welcome(device, bus)
    for kind in (Kind.EMIT, Kind.EVENT):
        device.frame(kind, 1, payload, 1)
    bus.settle(1)
    assert bus.published == []
    assert device.counts["no_port"] == 2


def test_an_event_is_taken_when_the_broker_has_it_and_published_once(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    sent.clear()
    for moment in (1, 2):
        device.frame(Kind.EVENT, 7, b"\0on", moment)
        bus.settle(moment)
    assert sent == []
    bus.advance(SECOND_US)
    assert [cut(frame)[1:3] for frame in sent if cut(frame)[1] != Kind.PING] == [(Kind.TAKEN, 7)]
    device.frame(Kind.EVENT, 7, b"\0on", SECOND_US)
    bus.settle(SECOND_US)
    assert cut(sent[-1])[1:3] == (Kind.TAKEN, 7), "its answer was lost"
    assert bus.published == [("echo", b"on")]


def test_a_device_that_began_anew_counts_from_anew(device: Device, bus: Bus) -> None:
    welcome(device, bus)
    device.frame(Kind.EVENT, 7, b"\0on", 1)
    bus.settle(1)
    welcome(device, bus, 2)
    device.frame(Kind.EVENT, 7, b"\0off", 3)
    bus.settle(3)
    assert bus.published == [("echo", b"on"), ("echo", b"off")]


def test_one_that_is_greeted_again_in_its_session_goes_on(device: Device, bus: Bus) -> None:
    welcome(device, bus)
    device.frame(Kind.EVENT, 7, b"\0on", 1)
    device.gone("unplugged")
    device.opened(2)
    welcome(device, bus, 3, GREETING[:1] + device.session.to_bytes(2, "big") + GREETING[3:])
    device.frame(Kind.EVENT, 7, b"\0on", 4)
    bus.settle(4)
    assert bus.published == [("echo", b"on")]


def test_a_flood_is_dropped_and_events_are_slowed(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    pace = Pace()
    for number in range(1_000):
        device.frame(Kind.EMIT, number % 256, b"\0%d" % number, number)
    bus.settle(1_000)
    assert len(bus.published) == pace.burst
    assert device.counts["flood"] == 1_000 - pace.burst
    device.frame(Kind.EVENT, 1, b"\0last", 1_000)
    bus.settle(1_000)
    assert (device.counts["slowed"], len(bus.published)) == (1, pace.burst)
    device.frame(Kind.EVENT, 1, b"\0last", SECOND_US)
    bus.settle(SECOND_US)
    assert bus.published[-1] == ("echo", b"last"), "it comes again, and fits in then"


def test_what_the_bridge_alone_says_is_an_echo(device: Device, bus: Bus) -> None:
    device.frame(Kind.WHO, 0, b"", 0)
    assert device.counts["echo"] == 1


def test_what_is_said_before_a_greeting_is_not_taken(device: Device, bus: Bus) -> None:
    device.frame(Kind.EMIT, 1, b"\0007", 0)
    device.frame(Kind.HERE, 0, b"\0\1\0\0", 0)
    bus.settle(0)
    assert (bus.published, device.counts["early"], device.phase) == ([], 2, Phase.ASKED)


# Commands


def ack(frame: bytes, result: bytes = b"\0") -> bytes:
    return cut(frame)[3][:4] + result


def test_a_command_is_sent_again_until_it_is_answered(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    sent.clear()
    device.command(command(1, b"on", receipt=5), 1)
    for tenth in range(1, 12):
        bus.advance(tenth * SECOND_US // 10)
    assert kinds(sent) == [Kind.COMMAND] * 3
    assert len(set(sent)) == 1, "the same id each time"
    assert bus.answers == bus.finished == []
    device.frame(Kind.ACK, 0, ack(sent[0]), 2 * SECOND_US)
    device.frame(Kind.ACK, 0, ack(sent[0]), 2 * SECOND_US)
    bus.settle(2 * SECOND_US)
    assert (bus.answers, bus.finished) == ([("command-1", "")], [5])
    assert (device.counts["commands_done"], device.counts["answers_unasked"]) == (1, 1)


def test_they_go_one_after_the_other(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    sent.clear()
    for number in range(3):
        device.command(command(number, b"%d" % number), 1)
    for number in range(3):
        bus.settle(number)
        assert len(sent) == number + 1
        assert cut(sent[-1])[3][4:] == b"\x02%d" % number
        device.frame(Kind.ACK, 0, ack(sent[-1]), number)
    bus.settle(3)
    assert [found for found, _ in bus.answers] == ["command-0", "command-1", "command-2"]


def test_they_wait_while_the_device_is_away_and_expire(device: Device, bus: Bus, sent: list[bytes]) -> None:
    device.command(command(1, b"late", lasts_us=SECOND_US), 0)
    device.command(command(2, b"on"), 0)
    bus.advance(2 * SECOND_US)
    assert bus.answers == [("command-1", "it has expired before the device was there")]
    welcome(device, bus, 3 * SECOND_US)
    assert cut(sent[-1])[3][5:] == b"on"
    assert device.counts["commands_expired"] == 1


def test_one_that_was_sent_and_expires_may_have_been_done(device: Device, bus: Bus) -> None:
    welcome(device, bus)
    device.command(command(1, b"on", lasts_us=SECOND_US), 0)
    bus.advance(2 * SECOND_US)
    assert bus.answers == [("command-1", "it has expired; the device did not answer, and may have done it")]


def test_what_was_under_way_when_the_device_began_anew_is_not_done_twice(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    device.command(command(1, b"toggle"), 1)
    device.command(command(2, b"next"), 1)
    bus.settle(1)
    welcome(device, bus, 2)
    assert bus.answers == [("command-1", "the device began anew before it answered; it may have been done")]
    assert cut(sent[-1])[3][5:] == b"next"


def test_of_a_durable_edge_it_is_sent_again(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    one = command(1, b"on")
    one.edge, one.epoch, one.sequence = "home/a>home/pump.set", 1, 1
    device.command(one, 1)
    bus.settle(1)
    welcome(device, bus, 2)
    assert (bus.answers, cut(sent[-1])[3][5:]) == ([], b"on")


def test_what_was_under_way_when_the_line_was_gone_is_sent_again(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    device.command(command(1, b"on"), 1)
    bus.settle(1)
    first = sent[-1]
    device.gone("unplugged")
    device.opened(2)
    welcome(device, bus, 3, GREETING[:1] + device.session.to_bytes(2, "big") + GREETING[3:])
    assert sent[-1] == first
    assert bus.answers == []


def test_one_that_comes_again_is_answered_and_not_sent(device: Device, bus: Bus, sent: list[bytes]) -> None:
    welcome(device, bus)
    device.command(command(1, b"on", receipt=1), 1)
    device.command(command(1, b"on", receipt=2), 1)
    bus.settle(1)
    device.frame(Kind.ACK, 0, ack(sent[-1]), 2)
    count = len(sent)
    device.command(command(1, b"on", receipt=3), 3)
    bus.settle(3)
    assert (len(sent), bus.answers, bus.finished) == (count, [("command-1", "")] * 2, [2, 3])
    assert device.counts["commands_repeated"] == 2


@pytest.mark.parametrize(
    ("port", "value", "said"),
    [("echo", b"1", "there is no port echo"), ("nothing", b"1", "there is no port nothing"), ("set", bytes(60), "the device takes 59")],
)
def test_an_impossible_one_is_refused_and_the_next_goes(device: Device, bus: Bus, port: str, value: bytes, said: str) -> None:
    welcome(device, bus, greeting=GREETING.replace(b"\xf9", b"\x40"))
    device.command(command(1, value, port=port, receipt=1), 1)
    device.command(command(2, b"on"), 1)
    bus.settle(1)
    assert len(bus.answers) == 1
    assert said in bus.answers[0][1]
    assert bus.finished == [1]
    assert device.waiting == 1


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (b"\x01", "the device has no such port"),
        (b"\x02", "the device refuses the value"),
        (b"\x03", "the device failed"),
        (b"\x63", "the device failed"),
        (b"\x03out of water", "out of water"),
        (b"\x03\xff" + b"x" * 200, "x"),
    ],
)
def test_a_refusal_of_the_device_is_handed_on(device: Device, bus: Bus, sent: list[bytes], result: bytes, said: str) -> None:
    welcome(device, bus)
    device.command(command(1, b"on"), 1)
    bus.settle(1)
    device.frame(Kind.ACK, 0, ack(sent[-1], result), 2)
    bus.settle(2)
    ((_, error),) = bus.answers
    assert said in error
    assert len(error) <= 80


def test_no_more_wait_than_there_is_room_for() -> None:
    device = new_device(Pace(commands_max=64))
    bus = Bus(device, lambda _: None)
    for number in range(70):
        device.command(command(number, b"on"), 0)
    bus.settle(0)
    assert device.waiting == 64
    assert {error for _, error in bus.answers} == {"64 commands wait already"}
    assert len(bus.answers) == 6


def test_too_large_a_value_does_not_wait(device: Device, bus: Bus) -> None:
    device.command(command(1, bytes(245)), 0)
    bus.settle(0)
    assert bus.answers == [("command-1", "the value has 245 bytes, 244 is the most")]


def test_without_an_id_the_broker_lets_go_before_it_is_sent_and_delivers_again_what_was_not(device: Device, bus: Bus) -> None:
    bare = [command(number, b"%d" % number, receipt=number) for number in (1, 2)]
    for one in bare:
        one.id = ""
    welcome(device, bus)
    for one in bare:
        device.command(one, 1)
    bus.settle(1)
    assert bus.finished == [1]
    device.redelivered()
    assert device.waiting == 1, "the second one comes again, and would be done twice"


# Together with the firmware in C, over a line that spoils what goes over it


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> CDevice:
    return CDevice(library(tmp_path_factory.mktemp("firmware")))


@pytest.mark.parametrize("seed", range(40))
def test_over_a_noisy_line_nothing_wrong_gets_through(firmware: CDevice, seed: int) -> None:
    """Of 150 commands none is lost and none is done twice, of 60 events neither; values are lost, and none is wrong."""
    device = new_device(Pace(rate_per_s=1_000, burst=1_000))
    firmware.result = lambda *_: 0
    firmware.commands.clear()
    firmware.restart()
    noise = Noise(seed, 0.004, 0.003, 0.002)
    wire = Wire(device, firmware, noise)
    waiting = [command(number, b"c%d" % number) for number in range(150)]
    events = [b"e%d" % number for number in range(60)]
    values = (b"v%d" % number for number in itertools.count())
    emitted = []

    def done() -> bool:
        while waiting and device.waiting < 20:
            device.command(waiting.pop(0), wire.now_us)
        if events and firmware.event(1, events[0]):
            events.pop(0)
        if wire.now_us % 100_000 == 0:
            value = next(values)
            if firmware.emit(0, value):
                emitted.append(value)
        return len(wire.bus.answers) == 150 and not events and wire.bus.published.count(("level", b"e59")) == 1

    wire.run_until(done)
    about = f"seed {seed}: {device.counts}"
    assert noise.done > 20, about
    assert [value for _, value in firmware.commands] == [b"c%d" % number for number in range(150)], about
    assert all(error == "" for _, error in wire.bus.answers), about
    assert [value for port, value in wire.bus.published if port == "level"] == [b"e%d" % number for number in range(60)], about
    heard = [value for port, value in wire.bus.published if port == "echo"]
    assert set(heard) <= set(emitted), about
    assert len(heard) == len(set(heard)), about
    assert len(heard) > 0.5 * len(emitted), about


def test_a_quiet_line_loses_nothing(firmware: CDevice) -> None:
    device = new_device()
    firmware.commands.clear()
    firmware.restart()
    wire = Wire(device, firmware, Quiet())
    for number in range(50):
        device.command(command(number, b"%d" % number), 0)
    wire.run_until(lambda: len(wire.bus.answers) == 50, 5)
    assert device.counts == {"commands_done": 50}
    assert wire.damaged == 0


def test_a_device_that_is_reset_again_and_again_does_nothing_twice(firmware: CDevice) -> None:
    """Whether it was done before the reset nobody knows, and it is said; what is said to be done was done once."""
    device = new_device()
    firmware.commands.clear()
    firmware.restart()
    wire = Wire(device, firmware, Noise(3, 0.002, 0.002))
    for number in range(60):
        device.command(command(number, b"%d" % number), 0)

    def done() -> bool:
        if wire.now_us % 700_000 == 0:
            firmware.restart()
        return len(wire.bus.answers) == 60

    wire.run_until(done)
    carried_out = [value for _, value in firmware.commands]
    assert len(set(carried_out)) == len(carried_out)
    for found, error in wire.bus.answers:
        if not error:
            assert carried_out.count(found.removeprefix("command-").encode()) == 1
        else:
            assert "began anew" in error
    assert sum(not error for _, error in wire.bus.answers) > 20


def test_another_bridge_that_takes_over_repeats_nothing(firmware: CDevice) -> None:
    """The former was killed after the device had done it, and before it heard so: the broker delivers the command again."""
    firmware.commands.clear()
    firmware.restart()
    wire = Wire(new_device(), firmware, Quiet())
    wire.bus.device.command(command(1, b"toggle"), 0)
    wire.run_until(lambda: bool(firmware.commands), 5)
    firmware.sent.clear()
    second = Wire(new_device(), firmware, Quiet())
    second.bus.device.command(command(1, b"toggle"), 0)
    second.run_until(lambda: bool(second.bus.answers), 10)
    assert (second.bus.answers, firmware.commands) == ([("command-1", "")], [(2, b"toggle")])


FRAMES = st.tuples(st.sampled_from([*Kind, 0, 0x7F, 0xFF]), st.integers(0, 255), st.binary(max_size=20) | st.just(GREETING))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), FRAMES),
        st.tuples(st.just("command"), st.integers(0, 5)),
        st.tuples(st.just("time"), st.integers(0, 5_000_000)),
        st.tuples(st.sampled_from(["opened", "gone", "redelivered", "here"]), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(STEPS)
def test_whatever_happens_it_lives_and_every_command_has_one_end(steps: list[tuple[str, object]]) -> None:
    device = new_device(Pace(commands_max=4))
    bus = Bus(device, lambda _: None)
    now_us, asked = 0, 0
    for what, detail in steps:
        if what == "frame":
            kind, number, payload = detail  # type: ignore[misc]
            device.frame(kind, number, payload, now_us)
        elif what == "command":
            asked += 1
            device.command(command(asked * 10 + detail, b"x", now_us, lasts_us=SECOND_US, receipt=asked), now_us)  # type: ignore[operator]
        elif what == "time":
            now_us += detail  # type: ignore[operator]
        elif what == "opened":
            device.opened(now_us)
        elif what == "gone":
            device.gone("gone")
        elif what == "redelivered":
            device.redelivered()
        else:
            device.frame(Kind.HERE, 0, device.session.to_bytes(2, "big") + b"\0\0", now_us)
        bus.advance(now_us)
        bus.settle(now_us)
        assert device.waiting <= 4
        assert len(bus.answers) + device.waiting == asked
        due_us = device.deadline_us
        assert due_us is None or due_us > now_us, "it would be woken again at once"
