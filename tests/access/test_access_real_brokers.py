"""Everybody of a plant of a hundred agents tries everything on real brokers: exactly what is granted gets through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from guarded_broker import ADMIN, FORMS, GuardedBroker
from plant import people, plant, topics
from probe import Outcome, Probe
from wire_client import Closed, WireClient

from edgematrix.access.grant import Access, Grant, Grants
from edgematrix.access.principal import Principal, Role

FEW = ("pi_a", "plant.area1.tank", "ben", "wall")
"""One of each kind."""
TWO = ("pi_a", "server", "plant.area1.tank", "plant.area3.nested.deep.level", "ben", "dora", "z2m", "nothing")
"""Two of each kind, the least alike: what must not get through is tried by them on every topic, each time with a connection of its own."""
ACCESSES = {
    "publish": Access.WRITE,
    "publish_qos1_retained": Access.WRITE,
    "will": Access.WRITE,
    "read": Access.READ,
    "read_retained": Access.READ,
}

_TRIES_MAX = 50
Guarded = Callable[..., GuardedBroker]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    made: list[GuardedBroker] = []

    def make(form: str, principals: Sequence[Principal], users=None) -> GuardedBroker:
        made.append(GuardedBroker(form, tmp_path / f"{form}{len(made)}", plant().matrix, principals, users))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


def few() -> list[Principal]:
    return [principal for principal in people() if principal.name in FEW]


def wrong(outcome: Outcome, principals: Sequence[Principal], tried: Sequence[str]) -> list[str]:
    """What got through and was not granted, and what was granted and did not get through."""
    found = []
    for principal in principals:
        for action, access in ACCESSES.items():
            granted = {topic for topic in tried if principal.grants.allows(access, topic)}
            through = outcome.through[action][principal.name]
            if action == "will":
                granted &= outcome.wills[principal.name]
            found += [f"LEAK {principal.name} {action} {topic}" for topic in sorted(through - granted)]
            found += [f"MISSING {principal.name} {action} {topic}" for topic in sorted(granted - through)]
        found += [f"OTHERWISE HEARD {principal.name} {topic}" for topic in sorted(outcome.not_heard[principal.name])]
    last = {topic: principal.name for principal in principals for topic in tried if principal.grants.allows(Access.WRITE, topic)}
    for topic in last.keys() | outcome.retained_by.keys():
        if last.get(topic) != outcome.retained_by.get(topic):
            found.append(f"RETAINED {topic} {last.get(topic)} {outcome.retained_by.get(topic)}")
    return found


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Of the small run, by form."""
    return {}


@pytest.mark.xdist_group("outcomes")
@pytest.mark.parametrize("form", FORMS)
def test_one_of_each_kind_gets_exactly_what_is_granted(form: str, guarded: Guarded, outcomes: dict[str, Outcome]):
    tried = topics(plant())[::3]
    broker = guarded(form, few())

    outcome = outcomes[form] = Probe(broker, tried, whole=FEW, wills_of_nats=8).run()

    assert wrong(outcome, few(), tried) == []
    assert all(outcome.through[action]["pi_a"] for action in ACCESSES), "the probe sees nothing"
    if form == "dynamic_security":
        assert broker.apply(few()) == [], "somebody changed what the plugin knows"


@pytest.mark.xdist_group("outcomes")
def test_both_forms_of_mosquitto_let_the_same_through(outcomes: dict[str, Outcome]):
    if not {"acl_file", "dynamic_security"} <= outcomes.keys():
        pytest.skip("needs both of the tests above")
    assert outcomes["acl_file"] == outcomes["dynamic_security"]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_everybody_gets_exactly_what_is_granted_on_every_topic(form: str, guarded: Guarded):
    tried = topics(plant())
    broker = guarded(form, people())
    outcome = Probe(broker, tried, TWO, wills_of_nats=8).run()
    assert wrong(outcome, people(), tried) == []


def test_a_grant_too_much_is_noticed_by_what_gets_through(guarded: Guarded):
    """The tests above can fail."""
    tank = next(principal for principal in people() if principal.name == "plant.area1.tank")
    more = Grants([*tank.grants, Grant(Access.WRITE, "em/out/plant/area2/tank/+"), Grant(Access.READ, "em/in/plant/area2/#")])
    tried = [topic for topic in topics(plant()) if "/area2/tank" in topic]
    broker = guarded("acl_file", [msgspec.structs.replace(tank, grants=more)])

    found = wrong(Probe(broker, tried, whole=[tank.name]).run(), [tank], tried)

    for action, topic in (("publish", "out"), ("will", "out"), ("read", "in"), ("read_retained", "in")):
        assert any(line.startswith(f"LEAK plant.area1.tank {action} em/{topic}/plant/area2/tank") for line in found)


@pytest.mark.parametrize("form", FORMS)
def test_all_live_credentials_of_a_principal_may_the_same_and_others_nothing(form: str, guarded: Guarded):
    ben = next(principal for principal in people() if principal.name == "ben")
    broker = guarded(form, [ben], {"ben": ["ben~2", "ben~3"]})
    observer = broker.connect(ADMIN)
    observer.subscribe(["em/#"])

    for user in ("ben~2", "ben~3"):
        client = broker.connect(user)
        client.publish([("em/op/ben/pause/plant/area1", user.encode())])
        client.barrier()
    observer.barrier()

    assert [message.payload for message in observer.taken()] == [b"ben~2", b"ben~3"]
    assert refused(broker.client("ben"))


def refused(client: WireClient) -> bool:
    try:
        return client.connect().refusal != 0
    except Closed:
        return True


def test_a_list_changes_under_a_running_broker_and_its_clients(guarded: Guarded):
    tank = next(principal for principal in people() if principal.name == "plant.area1.tank")
    broker = guarded("dynamic_security", few())
    other, theirs = "em/out/plant/area2/tank/level", broker.connect(tank.name)
    observer = broker.connect(ADMIN)
    observer.subscribe(["em/#"])
    wider = msgspec.structs.replace(tank, grants=Grants([*tank.grants, Grant(Access.WRITE, other), Grant(Access.READ, other)]))

    told = broker.apply([wider if each.name == tank.name else each for each in few()])
    theirs.subscribe([other])
    theirs.publish([(other, b"now")])
    theirs.barrier()
    observer.barrier()
    again = broker.apply(few())
    observer.publish([(other, b"later")])
    observer.barrier()
    theirs.barrier()

    assert [each["command"] for each in told] == ["modifyRole"]
    assert [each["command"] for each in again] == ["modifyRole"]
    assert [message.payload for message in observer.taken()] == [b"now", b"later"]
    assert [message.payload for message in theirs.taken()] == [b"now"], "a subscription outlives its grant"


def test_what_others_told_the_plugin_stays(guarded: Guarded):
    broker = guarded("dynamic_security", few())
    before = broker.apply(few()[:1])
    after = broker.apply([])
    assert {each["command"] for each in before} == {"deleteClient", "deleteRole"}
    assert [each["command"] for each in after] == ["deleteClient", "deleteRole"]
    assert broker.apply([]) == [], "and the administrator is still one"


# Who takes another's client id


def test_on_mosquitto_nobody_takes_the_client_id_of_a_host_or_device(two_listeners: tuple[int, int, GuardedBroker]):
    machines, peoples, _ = two_listeners
    host = at(machines, "pi_a", "op:anything").connect()
    assert host.refusal == 0

    assert at(peoples, "anna", "pi_a").connect().refusal == 5, "a client id of people begins with op:"
    assert at(peoples, "anna", "op:pi_a").connect().refusal == 0
    assert at(machines, "pi_b", "pi_a").connect().refusal == 5
    assert at(machines, "pi_b", "op:pi_a").connect().refusal == 0, "which the broker replaces by its user name"
    assert at(machines, "anna", "op:pi_a").connect().refusal == 5, "no password there"
    assert at(peoples, "pi_a", "op:x").connect().refusal == 5
    host.barrier()
    assert at(machines, "pi_a", "op:other").connect().refusal == 0
    with pytest.raises(Closed):
        host.barrier()


def at(port: int, user: str, client_id: str) -> WireClient:
    return WireClient(port, client_id, user, f"word-of-{user}")


@pytest.fixture
def two_listeners(tmp_path: Path) -> Iterator[tuple[int, int, GuardedBroker]]:
    """As brokers/mosquitto.conf has them: machines are their users, people's client ids have a prefix."""
    from free_port import free_port

    peoples = free_port()
    broker = GuardedBroker("acl_file", tmp_path / "two", plant().matrix, people(), listener_of_people=peoples)
    yield broker.process.port, peoples, broker
    broker.stop()


def again(broker: GuardedBroker, user: str, client_id: str, *, clean: bool = False) -> WireClient:
    """A connection under a client id that has just been used: nats-server refuses it for a moment."""
    for _ in range(_TRIES_MAX):
        with suppress(Closed):
            return broker.connect(user, client_id, clean=clean)
        time.sleep(0.1)
    raise AssertionError(f"{user} does not come in as {client_id}")


def test_on_nats_who_knows_a_client_id_may_end_its_session_and_read_nothing_of_it(guarded: Guarded):
    """Why the client ids of credentials are secrets there."""
    topic = "em/in/plant/area1/tank/pump"
    broker = guarded("nats", [principal for principal in people() if principal.name in ("plant.area1.tank", "z2m")])
    admin = broker.connect(ADMIN)
    victim = broker.connect("plant.area1.tank", "known", clean=False)
    assert victim.subscribe([topic], 1) == {topic: 1}
    victim.close()
    admin.publish([(topic, b"work")], qos=1)
    admin.barrier()

    thief = again(broker, "z2m", "known")
    assert thief.session_present
    admin.publish([(topic, b"more")], qos=1)
    admin.barrier()
    thief.barrier()
    assert thief.taken() == []
    thief.close()
    back = again(broker, "plant.area1.tank", "known")
    back.until(lambda: {message.payload for message in back.messages} == {b"work", b"more"})

    thief = again(broker, "z2m", "known", clean=True)
    with pytest.raises(Closed):
        back.barrier()
    thief.close()
    assert not again(broker, "z2m", "known").session_present, "the session is gone, with all that would have waited in it"


def test_a_wildcard_at_the_first_level_opens_nothing_of_natss_own(guarded: Guarded):
    """`+/API/#` does not mean `$JS/API/…` in MQTT; as a subject, `*.API.>` would."""
    wide = Grants([Grant(Access.WRITE, "+/API/#"), Grant(Access.READ, "+/API/#")])
    broker = guarded("nats", [Principal("wall", Role.CLIENT, "wall", wide)])
    admin = broker.connect(ADMIN)
    admin.subscribe(["$JS/API/#", "x/API/#"])
    client = broker.connect("wall")

    answers = client.subscribe(["+/API/#", "$JS/API/#", "$JS/API/INFO"])
    admin.publish([("$JS/API/INFO", b"own"), ("x/API/INFO", b"hers")])
    admin.barrier()
    client.publish([("$JS/API/INFO", b"stolen"), ("x/API/INFO", b"granted")])
    client.barrier()
    admin.barrier()

    assert (answers["+/API/#"], answers["$JS/API/#"], answers["$JS/API/INFO"]) == (0, 128, 128)
    assert {message.payload for message in client.taken()} == {b"hers", b"granted"}
    assert b"stolen" not in {message.payload for message in admin.taken()}
