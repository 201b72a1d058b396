"""Sessions of MQTT-SN nodes, step by step, without a socket or a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sn_world import SECOND, TANK, World

from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.message import Code, Flags, IdType
from firmware_bridge.mqtt_sn.packet import encode
from firmware_bridge.mqtt_sn.rules import Rules

STATE, LEVEL, VALVE = f"em/state/{TANK}", f"em/out/{TANK}/level", f"em/in/{TANK}/valve"


@pytest.fixture
def world() -> World:
    return World()


def subscribed(world: World, *, clean: bool = True, qos: int = 1) -> World:
    world.connect(clean=clean)
    world.say(m.Subscribe(Flags(qos=qos), 1, f"em/in/{TANK}/+".encode()))
    return world


# Coming and going


def test_a_node_without_a_will_is_announced(world: World) -> None:
    assert world.connect() == [m.Connack(Code.ACCEPTED)]
    assert world.published == [(STATE, b"ready")]
    assert world.will is not None
    assert world.will.topic == STATE
    assert world.say(m.Disconnect()) == [m.Disconnect()]
    assert world.published == [(STATE, b"ready"), (STATE, b"offline")]


def test_a_node_with_a_will_speaks_for_itself(world: World) -> None:
    assert world.connect(will=True) == [m.WillTopicReq()]
    assert world.say(m.WillTopic(Flags(qos=1, retain=True), STATE.encode())) == [m.WillMsgReq()]
    assert world.say(m.WillMsg(b"lost")) == [m.Connack(Code.ACCEPTED)]
    assert world.published == []
    world.wait(91)
    assert world.published == [(STATE, b"lost")]


def test_a_will_where_the_node_may_not_publish_is_refused(world: World) -> None:
    world.connect(will=True)
    assert world.say(m.WillTopic(Flags(), b"em/state/home/pump")) == [m.Connack(Code.NOT_SUPPORTED)]
    assert world.tank.counts["refused_topics"] == 1


def test_a_node_that_does_not_tell_its_will_is_asked_again_and_then_forgotten(world: World) -> None:
    world.connect(will=True)
    assert world.wait(10) == [m.WillTopicReq()] * 2
    assert world.gateway.due_us() is None


def test_a_will_can_be_changed(world: World) -> None:
    world.connect(will=True)
    world.say(m.WillTopic(Flags(), STATE.encode()))
    world.say(m.WillMsg(b"one"))
    assert world.say(m.WillMsgUpd(b"two")) == [m.WillMsgResp(Code.ACCEPTED)]
    assert world.will is not None
    assert world.will.payload == b"two"
    assert world.say(m.WillTopicUpd(Flags(), b"em/state/home/pump")) == [m.WillTopicResp(Code.NOT_SUPPORTED)]
    assert world.say(m.WillTopicUpd()) == [m.WillTopicResp(Code.ACCEPTED)]
    assert world.will.payload == b"offline", "without a will of its own it is announced"


@pytest.mark.parametrize("name", [b"home.cellar", b"", b"\xff", b"x" * 300])
def test_who_is_no_node_of_the_matrix_is_refused(world: World, name: bytes) -> None:
    assert world.say(m.Connect(Flags(), 1, 60, name)) == [m.Connack(Code.NOT_SUPPORTED)]
    assert world.gateway.counts["unknown_nodes"] == 1


def test_another_version_is_refused(world: World) -> None:
    assert world.say(m.Connect(Flags(), 2, 60, b"home.tank")) == [m.Connack(Code.NOT_SUPPORTED)]


def test_a_broker_that_is_away_is_congestion(world: World) -> None:
    world.broker_is_up = False
    assert world.connect() == []
    assert world.connect() == [], "its CONNECT comes again meanwhile"
    assert world.wait(10) == [m.Connack(Code.CONGESTION)]
    world.broker_is_up = True
    assert world.connect() == [m.Connack(Code.ACCEPTED)]


def test_who_has_not_connected_is_told_so(world: World) -> None:
    assert world.say(m.Publish(Flags(), 1, 0, b"1")) == [m.Disconnect()]
    assert world.say(m.PingReq(b"home.tank")) == [m.Disconnect()]
    assert world.say(m.Disconnect()) == [], "two gateways would talk for ever"
    assert world.say(m.SearchGw(0)) == [m.GwInfo(1)]


def test_silence_is_loss(world: World) -> None:
    world.connect(keepalive_s=10)
    world.wait(14)
    assert world.published[-1] == (STATE, b"ready")
    world.say(m.PingReq())
    world.wait(14)
    assert world.published[-1] == (STATE, b"ready")
    world.wait(2)
    assert world.published[-1] == (STATE, b"offline")


def test_a_node_may_come_from_another_address(world: World) -> None:
    world.connect()
    assert world.say(m.Connect(Flags(clean=True), 1, 60, b"home.tank"), sender="b") == [m.Connack(Code.ACCEPTED)]
    assert world.gateway.address("home.tank") == "b"
    assert world.say(m.PingReq(), sender="a") == [m.Disconnect()], "where it was it is no more"


# What it says


def test_a_topic_is_registered_and_published_on(world: World) -> None:
    world.connect()
    assert world.say(m.Register(0, 7, LEVEL.encode())) == [m.RegAck(1, 7, Code.ACCEPTED)]
    assert world.say(m.Register(0, 8, LEVEL.encode())) == [m.RegAck(1, 8, Code.ACCEPTED)]
    assert world.say(m.Publish(Flags(), 1, 0, b"20")) == []
    assert world.say(m.Publish(Flags(qos=1), 1, 9, b"21")) == [m.PubAck(1, 9, Code.ACCEPTED)]
    assert world.published[1:] == [(LEVEL, b"20"), (LEVEL, b"21")]


def test_known_numbers_and_short_names_need_no_registration(world: World) -> None:
    world.connect()
    world.say(m.Publish(Flags(id_type=IdType.PREDEFINED), 5, 0, b"20"))
    world.say(m.Publish(Flags(id_type=IdType.SHORT), int.from_bytes(b"t1", "big"), 0, b"21"))
    assert world.published[1:] == [(LEVEL, b"20"), (LEVEL, b"21")]


def test_a_message_without_a_connection_is_taken_on_known_topics_of_a_node_alone(world: World) -> None:
    world.say(m.Publish(Flags(qos=-1, id_type=IdType.PREDEFINED), 5, 0, b"20"), sender="x")
    assert world.published == [(LEVEL, b"20")]
    known = Flags(qos=-1, id_type=IdType.PREDEFINED)
    for flags, topic_id in ((Flags(qos=-1), 1), (known, 7), (known, 9)):
        assert world.say(m.Publish(flags, topic_id, 0, b"20"), sender="x") == []
    assert world.published == [(LEVEL, b"20")]
    assert world.gateway.counts == {"unknown_topic_ids": 2, "refused_topics": 1}


@pytest.mark.parametrize(
    "packet",
    [
        m.Register(0, 7, b"em/out/home/pump/level"),
        m.Register(0, 7, b"em/in/home/pump/+"),
        m.Register(0, 7, b""),
        m.Register(0, 7, b"em/out/\xff"),
        m.Publish(Flags(qos=1), 99, 7, b"1"),
        m.Publish(Flags(qos=1, id_type=IdType.PREDEFINED), 6, 7, b"1"),
        m.Publish(Flags(qos=1, id_type=IdType.SHORT), int.from_bytes(b"zz", "big"), 7, b"1"),
        m.Publish(Flags(qos=2, id_type=IdType.PREDEFINED), 5, 7, b"1"),
        m.Subscribe(Flags(qos=1), 7, b"em/in/#"),
        m.Subscribe(Flags(qos=1), 7, b"em/out/home/pump/level"),
        m.Subscribe(Flags(qos=1), 7, b"em/in/home/tank/#/x"),
        m.Subscribe(Flags(qos=1, id_type=IdType.PREDEFINED), 7, b"123"),
    ],
)
def test_what_a_node_may_not_is_refused_and_counted(world: World, packet: m.Packet) -> None:
    world.connect()
    (answer,) = world.say(packet)
    assert answer.code != Code.ACCEPTED  # type: ignore[union-attr]
    assert world.published == [(STATE, b"ready")]
    assert world.filters == {}
    refused = sum(world.tank.counts[name] for name in ("refused_topics", "unknown_topic_ids", "not_supported"))
    assert refused or isinstance(packet, m.Subscribe)


def test_a_message_that_comes_again_is_published_once(world: World) -> None:
    world.connect()
    first = m.Publish(Flags(qos=1, id_type=IdType.PREDEFINED), 5, 9, b"20")
    again = m.Publish(Flags(dup=True, qos=1, id_type=IdType.PREDEFINED), 5, 9, b"20")
    for packet in (first, again, first, again):
        assert world.say(packet) == [m.PubAck(5, 9, Code.ACCEPTED)]
    assert world.published[1:] == [(LEVEL, b"20")]
    assert world.tank.counts["repeated"] == 3
    world.wait(20)
    world.say(first)
    assert world.published[1:] == [(LEVEL, b"20")] * 2, "a message id may be used again, later"


def test_a_message_is_acknowledged_when_the_broker_has_it(world: World) -> None:
    world.connect()
    world.is_confirming = False
    message = m.Publish(Flags(qos=1, id_type=IdType.PREDEFINED), 5, 9, b"20")
    assert world.say(message) == world.say(message) == []
    world.tank.confirmed(1)
    world.settle("home.tank")
    assert world.sent[-1] == m.PubAck(5, 9, Code.ACCEPTED)
    for number in range(20):
        world.say(m.Publish(Flags(qos=1, id_type=IdType.PREDEFINED), 5, 100 + number, b"20"))
    assert world.tank.counts["congested"] == 20 - world.rules.inflight_max


# What it hears


def test_a_command_goes_by_a_number_that_the_node_is_told(world: World) -> None:
    subscribed(world)
    assert world.filters == {f"em/in/{TANK}/+": 1}
    (register,) = world.give("valve", b"true", receipt=4)
    assert isinstance(register, m.Register)
    assert register.topic == VALVE.encode()
    (publish,) = world.say(m.RegAck(register.topic_id, register.message_id))
    assert publish == m.Publish(Flags(qos=1), register.topic_id, register.message_id + 1, b"true")
    assert world.finished == []
    world.say(m.PubAck(register.topic_id, register.message_id + 1))
    assert world.finished == [4]


def test_who_subscribes_to_a_topic_knows_its_number(world: World) -> None:
    world.connect()
    assert world.say(m.Subscribe(Flags(qos=2), 1, VALVE.encode())) == [m.SubAck(Flags(qos=1), 1, 1)]
    assert world.give("valve", b"1") == [m.Publish(Flags(qos=1), 1, 1, b"1")]


def test_a_subscription_is_acknowledged_when_the_broker_has_it(world: World) -> None:
    world.connect()
    world.is_granting = False
    subscribe = m.Subscribe(Flags(qos=1), 1, VALVE.encode())
    assert world.say(subscribe) == []
    world.tank.granted(VALVE, "")
    world.settle("home.tank")
    assert world.sent[-1] == m.SubAck(Flags(qos=1), 1, 1)
    assert world.say(subscribe) == [m.SubAck(Flags(qos=1), 1, 1)], "it is known to have it"
    assert world.say(m.Subscribe(Flags(qos=1), 2, f"em/in/{TANK}/+".encode())) == []
    world.tank.granted(f"em/in/{TANK}/+", "no")
    world.settle("home.tank")
    assert world.sent[-1] == m.SubAck(Flags(), 0, 2, Code.NOT_SUPPORTED)
    world.say(m.Subscribe(Flags(qos=1), 3, f"em/in/{TANK}/x/#".encode()))
    assert world.wait(2) == [m.SubAck(Flags(qos=1), 0, 3)], "a broker that is away is asked later"


def test_who_subscribes_by_a_known_number_hears_by_it(world: World) -> None:
    world.connect()
    predefined = Flags(qos=1, id_type=IdType.PREDEFINED)
    assert world.say(m.Subscribe(predefined, 1, (6).to_bytes(2, "big"))) == [m.SubAck(Flags(qos=1), 6, 1)]
    assert world.give("valve", b"1", qos=0) == [m.Publish(Flags(id_type=IdType.PREDEFINED), 6, 0, b"1")]
    world.say(m.Unsubscribe(predefined, 2, (6).to_bytes(2, "big")))
    assert world.filters == {}


def test_one_goes_at_a_time_and_again_until_it_is_answered(world: World) -> None:
    world.connect(keepalive_s=0)
    world.say(m.Subscribe(Flags(qos=1), 1, VALVE.encode()))
    world.give("valve", b"1")
    assert world.give("valve", b"2") == []
    assert world.wait(1.5) == [m.Publish(Flags(dup=True, qos=1), 1, 1, b"1")]
    assert world.say(m.PubAck(1, 1)) == [m.Publish(Flags(qos=1), 1, 2, b"2")]
    world.wait(10)
    assert world.published[-1] == (STATE, b"offline"), "a node that does not answer is lost"
    assert world.finished == []


def test_a_node_that_refuses_a_message_gets_the_next(world: World) -> None:
    world.connect()
    world.say(m.Subscribe(Flags(qos=1), 1, VALVE.encode()))
    world.give("valve", b"1", receipt=1)
    world.give("valve", b"2", receipt=2)
    assert world.say(m.PubAck(1, 1, Code.INVALID_TOPIC_ID)) == [m.Publish(Flags(qos=1), 1, 2, b"2")]
    assert world.finished == [1]
    assert world.tank.counts["refused_by_node"] == 1


# Asleep


def asleep(world: World, seconds: int = 300) -> World:
    subscribed(world)
    world.say(m.Subscribe(Flags(qos=1), 2, VALVE.encode()))
    assert world.say(m.Disconnect(seconds)) == [m.Disconnect()]
    return world


def test_a_node_that_sleeps_gets_what_waits_when_it_wakes(world: World) -> None:
    asleep(world)
    assert world.give("valve", b"1", receipt=1) == world.give("valve", b"2", qos=0) == []
    world.wait(200)
    assert world.published[-1] == (STATE, b"ready")
    assert world.say(m.PingReq(b"home.tank")) == [m.Publish(Flags(qos=1), 1, 1, b"1")]
    assert world.say(m.PubAck(1, 1)) == [m.Publish(Flags(), 1, 0, b"2"), m.PingResp()]
    assert world.finished == [1]
    assert world.give("valve", b"3") == [], "it sleeps again"
    assert world.say(m.PingReq(b"home.tank"), sender="b")[0] == m.Publish(Flags(qos=1), 1, 2, b"3"), "from another address"


def test_a_node_that_wakes_to_nothing_goes_on_sleeping(world: World) -> None:
    asleep(world)
    assert world.say(m.PingReq(b"home.tank")) == [m.PingResp()]


def test_a_node_that_falls_asleep_without_an_answer_gets_it_again_and_knows_it(world: World) -> None:
    asleep(world)
    world.give("valve", b"1", receipt=1)
    world.say(m.PingReq(b"home.tank"))
    assert len(world.wait(10)) == world.rules.retries_max
    assert world.published[-1] == (STATE, b"ready")
    assert world.say(m.PingReq(b"home.tank")) == [m.Publish(Flags(dup=True, qos=1), 1, 1, b"1")]


def test_a_node_that_oversleeps_is_lost(world: World) -> None:
    asleep(world, 100)
    world.give("valve", b"1", receipt=1)
    world.wait(149)
    assert world.published[-1] == (STATE, b"ready")
    world.wait(2)
    assert world.published[-1] == (STATE, b"offline")
    assert world.finished == [], "the broker keeps it"
    assert world.say(m.PingReq(b"home.tank")) == [m.Disconnect()]


def test_what_waits_is_bounded_and_expires(world: World) -> None:
    world = World(rules=Rules(retry_us=SECOND, waiting_max=3, payload_bytes_max=20, rate_per_s=10_000))
    asleep(world)
    world.give("valve", b"0", qos=0)
    world.give("valve", b"old", receipt=1, expires_s=30)
    world.give("valve", b"x" * 21, receipt=9)
    for number in (2, 3, 4):
        world.give("valve", str(number).encode(), receipt=number)
    assert world.tank.counts["no_room"] == 2
    assert world.tank.counts["too_long"] == 1
    world.give("valve", b"short", receipt=5, expires_s=30)
    world.wait(31)
    assert world.say(m.PingReq(b"home.tank")) == [m.Publish(Flags(qos=1), 1, 1, b"3")]
    assert world.tank.counts["expired"] == 1
    assert world.finished == [9, 1, 2, 5]


def test_a_node_that_connects_anew_without_a_clean_session_gets_what_waited(world: World) -> None:
    subscribed(world, clean=False)
    world.say(m.Disconnect(300))
    world.give("valve", b"1")
    connack, register = world.connect(clean=False)
    assert connack == m.Connack(Code.ACCEPTED)
    assert isinstance(register, m.Register)


def test_a_clean_session_forgets(world: World) -> None:
    asleep(world)
    world.give("valve", b"1", qos=0)
    assert world.connect(clean=True) == [m.Connack(Code.ACCEPTED)]
    assert world.filters == {}
    assert world.tank.counts["forgotten_by_node"] == 1


# Bounds


def test_a_node_that_floods_is_held_back() -> None:
    world = World(rules=Rules(rate_per_s=10))
    world.connect()
    for _ in range(100):
        world.say(m.Publish(Flags(id_type=IdType.PREDEFINED), 5, 0, b"20"))
    assert world.gateway.counts["too_many"] == 80
    world.wait(1)
    assert world.say(m.PingReq()) == [m.PingResp()]


def test_topics_and_filters_are_bounded() -> None:
    world = World(rules=Rules(topics_max=3, filters_max=2, rate_per_s=10_000))
    world.connect()
    codes = [world.say(m.Register(0, 1, f"em/out/{TANK}/p{number}".encode()))[0].code for number in range(5)]  # type: ignore[union-attr]
    assert codes == [0, 0, 0, Code.CONGESTION, Code.CONGESTION]
    codes = [world.say(m.Subscribe(Flags(), 1, f"em/in/{TANK}/p{number}/+".encode()))[0].code for number in range(3)]  # type: ignore[union-attr]
    assert codes == [0, 0, Code.CONGESTION]


PACKETS = st.one_of(
    st.builds(m.Connect, st.builds(Flags, will=st.booleans(), clean=st.booleans()), st.just(1), st.integers(0, 3), st.just(b"home.tank")),
    st.builds(m.WillTopic, st.just(Flags()), st.sampled_from([b"", STATE.encode(), b"x/#"])),
    st.builds(m.WillMsg, st.binary(max_size=3)),
    st.builds(m.Register, st.just(0), st.integers(0, 3), st.sampled_from([LEVEL.encode(), b"x", b"\xff"])),
    st.builds(
        m.Publish,
        st.builds(Flags, dup=st.booleans(), qos=st.integers(-1, 2), id_type=st.sampled_from(IdType)),
        st.sampled_from([1, 5, 6, 9]),
        st.integers(0, 3),
        st.binary(max_size=3),
    ),
    st.builds(m.Subscribe, st.builds(Flags, qos=st.integers(-1, 2)), st.integers(0, 3), st.sampled_from([VALVE.encode(), b"#", b""])),
    st.builds(m.Unsubscribe, st.just(Flags()), st.integers(0, 3), st.sampled_from([VALVE.encode(), b"#"])),
    st.builds(m.PubAck, st.integers(0, 2), st.integers(0, 6), st.integers(0, 4)),
    st.builds(m.RegAck, st.integers(0, 2), st.integers(0, 6), st.integers(0, 4)),
    st.builds(m.PingReq, st.sampled_from([b"", b"home.tank", b"home.pump"])),
    st.builds(m.Disconnect, st.integers(0, 4)),
    st.builds(m.WillTopicUpd, st.just(Flags()), st.sampled_from([b"", STATE.encode()])),
    st.builds(m.WillMsgUpd, st.binary(max_size=2)),
    st.builds(m.PubRel, st.integers(0, 3)),
)
STEPS: st.SearchStrategy[Callable[[World], object]] = st.one_of(
    st.builds(lambda packet, sender: lambda world: world.say(packet, sender), PACKETS, st.sampled_from("ab")),
    st.builds(lambda datagram: lambda world: world.raw(datagram), st.binary(max_size=12)),
    st.builds(lambda seconds: lambda world: world.wait(seconds), st.sampled_from([0.0, 0.5, 2.0, 20.0])),
    st.builds(lambda qos, receipt: lambda world: world.give("valve", b"v", qos, receipt), st.integers(0, 1), st.integers(0, 9)),
    st.builds(lambda is_up: lambda world: setattr(world, "broker_is_up", is_up), st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_a_node_does_the_gateway_goes_on_within_its_bounds(steps: list[Callable[[World], object]]) -> None:
    world = World(rules=Rules(retry_us=SECOND, retries_max=2, waiting_max=5, rate_per_s=1_000))
    for step in steps:
        step(world)
        assert world.tank.waiting <= world.rules.waiting_max + 1
        for packet in world.sent:
            encode(packet)
    world.broker_is_up = True
    world.wait(100)
    world.connect()
    world.wait(10)
    assert world.connect()[0] == m.Connack(Code.ACCEPTED), "a node can always begin anew"
