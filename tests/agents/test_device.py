from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edgematrix.agents.device import Device
from edgematrix.agents.effect import Effect, Emit, Hold, Publish, Refuse
from edgematrix.agents.spec import DeviceSpec
from edgematrix.errors import EdgeMatrixError, PathError, ProtocolError, TopicError
from edgematrix.protocol.message import Message

SECOND = 1_000_000


def device_of(**spec: Any) -> Device:
    return Device(TypeAdapter(DeviceSpec).validate_python(spec))


def lamp(**write: Any) -> Device:
    return device_of(writes={"set": {"topic": "lamp/set", **write}})


def tell(device: Device, value: object, **rest: Any) -> list[Effect]:
    return device.write(device.start(), "set", value, 0, **rest)[0]


def test_a_device_reports_its_values():
    device = device_of(
        reads={
            "lux": {"topic": "z/hall", "value": "illuminance"},
            "level": {"topic": "z/hall", "value": "battery.level", "as": "number"},
            "on": {"topic": "t/hall", "as": "bool", "qos": 1},
        }
    )
    state = device.start()
    assert [(reading.port, reading.filter.text, reading.qos) for reading in device.reads] == [
        ("lux", "z/hall", 0),
        ("level", "z/hall", 0),
        ("on", "t/hall", 1),
    ]
    message = Message("z/hall", {"illuminance": 12, "battery": {"level": "80"}}, retained=True)
    assert device.read(state, 0, message) == [Emit("lux", 12, retained=True)]
    assert device.read(state, 1, message) == [Emit("level", 80, retained=True)]
    assert device.read(state, 2, Message("t/hall", "ON")) == [Emit("on", True)]
    assert device.read(state, 0, Message("z/hall", {"illuminance": "unavailable"})) == [Emit("lux", None)]


def test_several_values_of_a_message_are_one_object_that_is_unknown_as_soon_as_one_is():
    device = device_of(reads={"energy": {"topic": "t", "value": {"today": ["ENERGY", "Today"], "yesterday": "ENERGY.Yesterday"}}})
    state = device.start()
    message = Message("t", {"ENERGY": {"Today": 1.5, "Yesterday": 2.5, "Total": 9}})
    assert device.read(state, 0, message) == [Emit("energy", {"today": 1.5, "yesterday": 2.5})]
    assert device.read(state, 0, Message("t", {"ENERGY": {"Today": 1.5}})) == [Emit("energy", None)]


def test_a_value_that_breaks_its_schema_is_refused_and_an_unknown_one_is_not():
    device = device_of(reads={"lux": {"topic": "z", "value": "lux", "schema": {"type": "number", "minimum": 0}}})
    (refused,) = device.read(device.start(), 0, Message("z", {"lux": -1}))
    assert isinstance(refused, Refuse)
    assert (refused.port, refused.value) == ("lux", -1)
    assert "schema" in refused.reason
    assert device.read(device.start(), 0, Message("z", {})) == [Emit("lux", None)]


@pytest.mark.parametrize(
    ("availability", "there", "gone"),
    [
        ({"topic": "z/a"}, "online", "offline"),
        ({"topic": "z/a"}, "online", "unavailable"),
        ({"topic": "z/a"}, "online", ""),
        ({"topic": "z/a", "value": "state"}, {"state": "online"}, {"state": "offline"}),
        ({"topic": "z/a", "online": True}, True, False),
        ({"topic": "z/a", "online": 1}, 1.0, True),
    ],
)
def test_when_a_device_goes_its_values_are_unknown_at_once(availability: dict[str, Any], there: object, gone: object):
    device = device_of(reads={"a": {"topic": "z", "value": "a"}, "b": {"topic": "z", "value": "b"}}, availability=availability)
    state = device.start()
    assert device.availability is not None
    assert device.read(state, 0, Message("z", {"a": 1})) == [Emit("a", 1)]
    assert device.available(state, Message("z/a", there)) == []
    assert device.read(state, 0, Message("z", {"a": 1})) == [Emit("a", 1)]
    assert device.available(state, Message("z/a", gone)) == [Emit("a", None), Emit("b", None)]
    assert device.available(state, Message("z/a", gone)) == []
    assert device.read(state, 0, Message("z", {"a": 1})) == [Emit("a", None)]
    assert device.available(state, Message("z/a", there)) == []
    assert device.read(state, 0, Message("z", {"a": 1})) == [Emit("a", 1)]


@pytest.mark.parametrize("value", [{"state": "ON"}, "ON", 5, None, b"\0\1", [1]])
def test_a_command_goes_out_as_the_write_says(value: object):
    assert tell(lamp(qos=0, retain=True), value) == [Publish("lamp/set", value, 0, True)]
    assert tell(lamp(), value) == [Publish("lamp/set", value, 1, False)]


OBJECT = {"type": "object", "properties": {"brightness": {"type": "number"}}, "additionalProperties": False}
BRIGHT = {"brightness": [0, 254]}


@pytest.mark.parametrize(
    ("write", "value", "words"),
    [
        ({"schema": OBJECT}, "ON", "object"),
        ({"schema": OBJECT}, {"bright": 5}, "'bright' was unexpected"),
        ({"schema": OBJECT}, {"brightness": "5"}, "`brightness`"),
        ({"range": BRIGHT}, {"brightness": 255}, "`brightness` is 255; allowed are 0 to 254"),
        ({"range": BRIGHT}, {"brightness": -0.5}, "allowed are 0 to 254"),
        ({"range": BRIGHT}, {"brightness": "255"}, "no number"),
        ({"range": BRIGHT}, {"brightness": True}, "no number"),
        ({"range": BRIGHT}, {"brightness": None}, "no number"),
        ({"range": BRIGHT}, '{"brightness": 255}', "255"),
        ({"range": BRIGHT}, b'{"brightness": 255}', "255"),
        ({"range": BRIGHT}, '{"brightness": 1, "brightness": 255}', "255"),
        ({"range": BRIGHT}, ' {"brightness": 255', "is none"),
        ({"range": BRIGHT}, {"brightness": float("nan")}, "no JSON number"),
        ({"range": {"color.x": [0, 1]}}, {"color": {"x": 2}}, "`color.x` is 2"),
        ({"range": {"color.x": [0, 1]}}, {"color.x": 2}, "`color.x` is 2"),
        ({"range": {"list.1": [0, 1]}}, {"list": [0, 2]}, "`list.1` is 2"),
        ({"range": {"value": [0, 100]}}, 101, "`value` is 101"),
        ({"range": {"value": [0, 100]}}, "101", "`value` is 101"),
        ({"range": {"value": [0, 100]}}, "full", "no number"),
        ({"range": {"value": [0, 100]}}, {"value": 101}, "`value` is 101"),
        ({"schema": {"maximum": 100}}, "101", "maximum"),
        ({"schema": {"type": "string"}}, '{"a": 1}', "string"),
    ],
)
def test_a_command_beyond_the_limits_is_refused_with_the_reason(write: dict[str, Any], value: object, words: str):
    (refused,) = tell(lamp(**write), value, cause="m1")
    assert isinstance(refused, Refuse)
    assert (refused.port, refused.cause) == ("set", "m1")
    assert words in refused.reason


@pytest.mark.parametrize(
    ("write", "value", "sent"),
    [
        ({"schema": OBJECT, "range": BRIGHT}, {"brightness": 254}, {"brightness": 254}),
        ({"range": BRIGHT}, {"brightness": 0.0}, {"brightness": 0.0}),
        ({"range": BRIGHT}, {"state": "ON"}, {"state": "ON"}),
        ({"range": BRIGHT}, "ON", "ON"),
        ({"range": BRIGHT}, '{"brightness": 5}', {"brightness": 5}),
        ({"range": {"value": [0, 100]}}, "100", "100"),
        ({"schema": {"type": "string"}}, "21", "21"),
        ({"schema": {"enum": ["1", "2"]}}, "1", "1"),
        ({"schema": {"type": "number"}}, "21", "21"),
    ],
)
def test_a_command_within_the_limits_is_sent(write: dict[str, Any], value: object, sent: object):
    assert tell(lamp(**write), value) == [Publish("lamp/set", sent, 1, False)]


def test_what_follows_from_untrusted_text_needs_a_human_where_it_is_critical():
    for critical in (True, {"ask": "Open?"}):
        assert tell(lamp(critical=critical), "open", taint="web") == [Hold("set", "open")]
        assert isinstance(tell(lamp(critical=critical), "open")[0], Publish)
    assert isinstance(tell(lamp(), "open", taint="web")[0], Publish)
    (refused,) = tell(lamp(critical=True, range={"value": [0, 1]}), 2, taint="web")
    assert isinstance(refused, Refuse), "nobody is asked about what is beyond the limits"


def test_a_command_that_has_expired_is_refused():
    device = lamp()
    assert isinstance(device.write(device.start(), "set", 1, 10, expiry_us=11)[0][0], Publish)
    assert isinstance(device.write(device.start(), "set", 1, 10, expiry_us=10)[0][0], Refuse)


def test_an_unknown_input_is_refused():
    (refused,) = lamp().write(lamp().start(), "sett", 1, 0)[0]
    assert isinstance(refused, Refuse)
    assert "known: set" in refused.reason


def test_the_newest_command_is_held_until_the_dwell_is_over():
    device = lamp(dwell="2s")
    state = device.start()
    assert device.write(state, "set", 1, 0) == ([Publish("lamp/set", 1, 1, False)], None)
    assert device.write(state, "set", 2, SECOND, cause="b") == ([], 2 * SECOND)
    effects, deadline_us = device.write(state, "set", 3, SECOND + 1, cause="c")
    assert effects == [Refuse("set", 2, "a newer command came within the dwell of 2s", "b")]
    assert deadline_us == 2 * SECOND
    assert device.tick(state, 2 * SECOND - 1) == ([], 2 * SECOND)
    assert device.tick(state, 2 * SECOND) == ([Publish("lamp/set", 3, 1, False)], None)
    assert device.write(state, "set", 4, 4 * SECOND) == ([Publish("lamp/set", 4, 1, False)], None)


def test_a_held_command_may_expire():
    device = lamp(dwell="1m")
    state = device.start()
    device.write(state, "set", 1, 0)
    assert device.write(state, "set", 2, SECOND, expiry_us=31 * SECOND) == ([], 31 * SECOND)
    (refused,), deadline_us = device.tick(state, 31 * SECOND)
    assert isinstance(refused, Refuse)
    assert "expired" in refused.reason
    assert deadline_us is None


def test_a_held_command_that_names_no_expiry_is_sent_however_long_the_dwell():
    device = lamp(dwell="10m")
    state = device.start()
    device.write(state, "set", 1, 0)
    assert device.write(state, "set", 2, SECOND) == ([], 600 * SECOND)
    (sent,), _ = device.tick(state, 600 * SECOND)
    assert isinstance(sent, Publish)
    assert sent.value == 2


def test_commands_beyond_the_rate_are_refused():
    device = lamp(rate={"count": 2, "per": "10s"})
    state = device.start()
    kinds = [type(device.write(state, "set", 1, at * SECOND)[0][0]) for at in (0, 9, 9, 10, 11, 19, 20)]
    assert kinds == [Publish, Publish, Refuse, Publish, Refuse, Publish, Publish]


@pytest.mark.parametrize(
    ("spec", "error", "where"),
    [
        ({"reads": {"a": {"topic": "a/#/b"}}}, TopicError, "reads.a.topic"),
        ({"reads": {"a": {"topic": "a", "value": "x..y"}}}, PathError, "reads.a.value"),
        ({"reads": {"a": {"topic": "a", "schema": {"type": "x"}}}}, ProtocolError, "reads.a.schema type"),
        ({"writes": {"a": {"topic": "a/+"}}}, TopicError, "writes.a.topic"),
        ({"writes": {"a": {"topic": "em/in/home/x"}}}, TopicError, "writes.a.topic"),
        ({"writes": {"a": {"topic": "a", "range": {"b": [5, 1]}}}}, ProtocolError, "writes.a.range"),
        ({"availability": {"topic": ""}}, TopicError, "availability.topic"),
    ],
)
def test_a_wrong_device_is_refused_with_its_place(spec: dict[str, Any], error: type[EdgeMatrixError], where: str):
    with pytest.raises(error) as raised:
        device_of(**spec)
    assert raised.value.where == where


COMMANDS = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 5_000_000)), max_size=30)


@given(COMMANDS, st.none() | st.integers(0, 3), st.none() | st.tuples(st.integers(1, 3), st.integers(1, 5)), st.booleans())
def test_however_commands_come_pace_holds_and_none_is_lost(
    commands: list[tuple[int, int]], dwell_s: int | None, rate: tuple[int, int] | None, ticks: bool
):
    device = lamp(dwell=dwell_s, rate=None if rate is None else {"count": rate[0], "per": rate[1]})
    state = device.start()
    sent: list[tuple[int, int]] = []
    refused: list[int] = []
    expiries: list[int] = []

    def take(effects: list[Effect], now_us: int) -> None:
        for effect in effects:
            if isinstance(effect, Publish):
                sent.append((now_us, int(effect.value)))  # type: ignore[call-overload]
            elif isinstance(effect, Refuse):
                refused.append(int(effect.cause))

    now_us = 0
    deadline_us: int | None = None
    for number, (wait_us, life_us) in enumerate(commands):
        now_us += wait_us
        while ticks and deadline_us is not None and deadline_us <= now_us:
            effects, later_us = device.tick(state, deadline_us)
            take(effects, deadline_us)
            deadline_us = later_us
        expiries.append(now_us + life_us)
        effects, deadline_us = device.write(state, "set", number, now_us, expiry_us=now_us + life_us, cause=str(number))
        take(effects, now_us)
    while deadline_us is not None:
        effects, later_us = device.tick(state, max(deadline_us, now_us))
        take(effects, max(deadline_us, now_us))
        deadline_us = later_us

    assert sorted([number for _, number in sent] + refused) == list(range(len(commands)))
    assert all(at_us < expiries[number] for at_us, number in sent)
    moments = [at_us for at_us, _ in sent]
    assert all(later - earlier >= (dwell_s or 0) * SECOND for earlier, later in pairwise(moments))
    if rate is not None:
        assert all(moments[n + rate[0]] - moments[n] >= rate[1] * SECOND for n in range(len(moments) - rate[0]))
    assert [number for _, number in sent] == sorted(number for _, number in sent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_any_command_is_sent_or_refused(value: object):
    (effect,) = tell(lamp(schema={"properties": {"b": {"maximum": 5}}}, range={"b": [0, 5], "value": [0, 5]}), value)
    assert isinstance(effect, (Publish, Refuse))
