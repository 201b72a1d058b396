"""Deployments as they travel: whole or not at all, in whatever order their parts come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.deployed import deployment_of, leased_units, places_of, spec_of
from edgematrix.config.exchange import dump, load
from edgematrix.config.kept_deployment import KeptDeployment
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import CodecError, ConfigError, StateError
from edgematrix.hosting.capability import BIRTH_BYTES_MAX, Birth, Capability, Refused, encode_birth, read_birth
from edgematrix.hosting.change import Change, Move
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.hosting.manifest import Manifest, ProtocolMismatchError, encode_manifest, next_revision, read_manifest
from edgematrix.hosting.revision import Deployment, Gathering
from edgematrix.protocol.path import AgentPath


def rule(topic: str) -> dict[str, Any]:
    return {"triggers": {"t": {"on": {"v": {"topic": topic}}, "do": [{"publish": {"topic": "t/out", "payload": 1}}]}}}


def matrix(**agents: dict[str, Any]) -> MatrixSpec:
    return load({"matrix": "home", "timezone": "Europe/Berlin", "broker": "mqtt://u:secret@broker", "agents": agents})


def deployed(spec: MatrixSpec, revision: int = 1, deployer: str = "me", host: str = "a") -> Deployment:
    places = {AgentPath(f"home/{name}"): (host,) for name in spec.agents}
    return deployment_of(spec, places, revision, deployer)


ONE = matrix(hall={"agents": {"x": rule("t/x"), "y": rule("t/y")}}, z=rule("t/z"))
TWO = matrix(hall={"agents": {"x": rule("t/x"), "y": rule("t/new")}}, z=rule("t/z"), w=rule("t/w"))


def gathered(gathering: Gathering, *deployments: Deployment) -> Gathering:
    for deployment in deployments:
        for at, data in deployment.definitions.items():
            gathering.take_definition(at, data)
        gathering.take_manifest(encode_manifest(deployment.manifest))
    return gathering


def test_what_was_deployed_is_what_is_run_without_the_brokers_password() -> None:
    found = gathered(Gathering("home"), deployed(ONE)).standing().deployment
    assert found is not None
    assert msgspec.structs.asdict(found) == msgspec.structs.asdict(deployed(ONE))
    assert spec_of(found) == load({"matrix": "home", "timezone": "Europe/Berlin", "agents": dump_agents(ONE)})
    assert b"secret" not in encode_manifest(found.manifest)


def dump_agents(spec: MatrixSpec) -> dict[str, Any]:
    agents: dict[str, Any] = dump(spec)["agents"]
    return agents


def test_places_are_those_of_the_agent_that_one_is_in() -> None:
    deployment = deployment_of(ONE, {AgentPath("home/hall"): ("a", "b"), AgentPath("home/hall/y"): ("b",), AgentPath("home/z"): ()}, 1, "")
    places = places_of(deployment.manifest, ONE, "a", {})
    assert places.hosts == {"home/hall": "a", "home/hall/x": "a", "home/hall/y": "b"}
    moved = places_of(deployment.manifest, ONE, "a", {AgentPath("home/hall"): "b"})
    assert moved.hosts == {"home/hall": "b", "home/hall/x": "b", "home/hall/y": "b"}
    assert places_of(deployment.manifest, ONE, "a", {AgentPath("home/hall"): ""}).hosts == {"home/hall/y": "b"}
    assert {node.path for node in AgentTree.of(ONE, places) if not node.is_elsewhere} == {"home/hall", "home/hall/x"}


@given(st.permutations([*deployed(ONE).definitions, "home"]))
def test_parts_may_come_in_any_order(order: list[str]) -> None:
    deployment, gathering = deployed(ONE), Gathering("home")
    for count, at in enumerate(order):
        assert not gathering.is_whole
        if at == "home":
            gathering.take_manifest(encode_manifest(deployment.manifest))
        else:
            gathering.take_definition(AgentPath(at), deployment.definitions[AgentPath(at)])
        manifest_is_there = "home" in order[: count + 1]
        missing = {late for late in order[count + 1 :] if late != "home"} if manifest_is_there else set()
        assert set(gathering.standing().missing) == missing
    assert gathering.standing().deployment == deployment


def test_a_deployment_that_was_cut_off_changes_nothing() -> None:
    one, two = deployed(ONE), deployed(TWO, 2)
    gathering = Gathering("home", one)
    for at, data in two.definitions.items():
        gathering.take_definition(at, data)
    assert gathering.standing().deployment == one
    fresh = gathered(Gathering("home"), one)
    fresh.take_definition(AgentPath("home/hall/y"), two.definitions[AgentPath("home/hall/y")])
    assert fresh.standing().missing == ("home/hall/y",)
    assert "revision 1 is not whole: there is no such definition yet of home/hall/y" in fresh.standing().told()
    gathered(fresh, two)
    assert fresh.standing().deployment == two


def test_the_higher_revision_counts_and_of_two_equal_ones_the_last() -> None:
    one, two, also = deployed(ONE), deployed(TWO, 2), deployed(ONE, 2, "you")
    assert gathered(Gathering("home"), two, one).manifest == two.manifest
    assert gathered(Gathering("home"), two, also).standing().deployment == also
    assert gathered(Gathering("home"), also, two).standing().deployment == two


def test_a_host_that_claims_a_revision_that_none_can_have_ends_no_deploying() -> None:
    assert next_revision(3, [5, 2]) == 6
    assert next_revision(3, [(1 << 53) - 1, 1 << 90]) == 4
    assert next_revision((1 << 52) - 1, [(1 << 52) - 1]) == 1 << 52
    assert next_revision(1 << 52, []) == (1 << 52) + 1


def test_definitions_that_somebody_makes_up_fill_no_memory_and_those_that_are_meant_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgematrix.hosting.revision.DEFINITIONS_MAX", 10)
    gathering = Gathering("home")
    for number in range(100):
        gathering.take_definition(AgentPath(f"home/x{number}"), b"{}")
    assert len(gathering._hashes) == 10
    deployment = deployed(matrix(a=rule("t"), b=rule("u")))
    gathering.take_manifest(encode_manifest(deployment.manifest))
    for path, data in deployment.definitions.items():
        gathering.take_definition(path, data)
    assert gathering.standing().deployment == deployment


def test_a_damaged_definition_is_missing() -> None:
    one = deployed(ONE)
    gathering = gathered(Gathering("home"), one)
    gathering.take_definition(AgentPath("home/z"), b'{"triggers":')
    assert gathering.standing().missing == ("home/z",)
    gathering.take_definition(AgentPath("home/z"), b"")
    assert gathering.standing().missing == ("home/z",)
    gathering.take_definition(AgentPath("home/z"), one.definitions[AgentPath("home/z")])
    assert gathering.is_whole


def test_what_was_whole_needs_the_bus_no_more() -> None:
    one = deployed(ONE)
    gathering = Gathering("home", one)
    gathering.take_manifest(encode_manifest(one.manifest))
    assert gathering.standing().deployment == one
    two = deployed(TWO, 2)
    gathering.take_manifest(encode_manifest(two.manifest))
    assert gathering.standing().missing == ("home/hall/y", "home/w")


@pytest.mark.parametrize("key", ["protocol", "v"])
def test_a_manifest_of_another_protocol_is_not_followed(key: str) -> None:
    plain = msgspec.json.decode(encode_manifest(deployed(ONE, 5).manifest))
    data = msgspec.json.encode({**plain, key: 2})
    with pytest.raises(ProtocolMismatchError, match="protocol version 2"):
        read_manifest("home", data)
    gathering = Gathering("home", deployed(ONE))
    gathering.take_manifest(data)
    standing = gathering.standing()
    assert (standing.revision, standing.deployment) == (5, None)
    assert "revision 5 of home is for hosts of the protocol version 2, and this one speaks 1" in standing.told()
    assert gathering.manifest == deployed(ONE).manifest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"revision": 0}, "revision has to be"),
        ({"revision": True}, "revision has to be"),
        ({"matrix": {"matrix": "other"}}, "with that name"),
        ({"matrix": 3}, "with that name"),
        ({"paths": []}, "paths has to be"),
        ({"paths": {"home/a/b": "0" * 16}}, "stands before the agent that it is in"),
        ({"paths": {"other/a": "0" * 16}}, "in another matrix"),
        ({"paths": {"home/A": "0" * 16}}, "'A' does not match"),
        ({"paths": {"home/a": "0"}}, "hash of home/a"),
        ({"places": {"home/a": "pi"}}, "a list of at most"),
        ({"places": {"home/a": [7]}}, "a list of at most"),
        ({"places": {"home/a": ["A b"]}}, "places of home/a: host 'A b'"),
        ({"deployer": 1}, "deployer"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(change: dict[str, object], told: str) -> None:
    plain = msgspec.json.decode(encode_manifest(deployed(ONE).manifest))
    with pytest.raises(CodecError, match=told):
        read_manifest("home", msgspec.json.encode({**plain, **change}))


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda found: st.dictionaries(
            st.sampled_from(["v", "revision", "paths", "places", "matrix", "status", "load", "labels", "refused"]), found
        ),
    ).map(msgspec.json.encode)
)
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    for read in (lambda: read_manifest("home", data), lambda: read_birth("pi", data)):
        try:
            read()
        except CodecError:
            continue


def test_revision_after_revision_is_put_together_from_what_was_kept_and_what_is_new() -> None:
    gathering = Gathering("home")
    for number in range(1, 7):
        deployment = deployed((ONE, TWO)[number % 2], number)
        changed = {at: data for at, data in deployment.definitions.items() if number == 1 or at in ("home/hall/y", "home/w")}
        gathered(gathering, Deployment(deployment.manifest, changed))
        assert gathering.standing().deployment == deployment
        gathering.settle(deployment)
        assert gathering.standing().deployment == deployment


def test_what_went_and_was_never_cleared_may_come_back() -> None:
    one, two = deployed(ONE), deployed(matrix(z=rule("t/z")), 2)
    gathering = gathered(Gathering("home"), one)
    gathering.settle(one)
    gathering.take_manifest(encode_manifest(two.manifest))
    gathering.settle(two)
    again = deployed(ONE, 3)
    gathering.take_manifest(encode_manifest(again.manifest))
    assert gathering.standing().deployment == again


def test_definitions_that_make_no_matrix_are_refused() -> None:
    spec = matrix(z=rule("t/z"))
    deployment = deployed(spec)
    wrong = Deployment(deployment.manifest, {AgentPath("home/z"): b'{"trigers":{}}'})
    with pytest.raises(ConfigError, match="trigers"):
        spec_of(wrong)
    with pytest.raises(ConfigError, match="without agents"):
        spec_of(Deployment(deployment.manifest, {AgentPath("home/z"): b'{"agents":{}}'}))


def test_who_moves_is_known_with_what_its_agents_are() -> None:
    def units(topic: str, back: str = "manual") -> dict[str, LeasedUnit]:
        spec = matrix(
            hall={"agents": {"x": rule("t/x"), "y": {**rule(topic), "host": "b"}}, "failover": {"hosts": ["a", "b"], "failback": back}},
            pool={"pool": {"replicas": 2}, "agents": {"worker": {**rule(topic), "failover": True}}},
        )
        places = {"hall": ("a", "b"), "hall/y": ("b",), "pool": ("a",), "pool/worker-1": ("a", "b"), "pool/worker-2": ("b", "a")}
        deployment = deployment_of(spec, {AgentPath(f"home/{at}"): hosts for at, hosts in places.items()}, 1, "")
        return {unit.path: unit for unit in leased_units(deployment.manifest, spec)}

    before, after = units("t/1"), units("t/2", "auto")
    assert list(before) == ["home/hall", "home/pool/worker-1", "home/pool/worker-2"]
    hall = AgentPath("home/hall")
    assert (before[hall].hosts, before[hall].returns, before[hall].apart) == (("a", "b"), False, {"home/hall/y"})
    assert after[hall].returns
    worker = AgentPath("home/pool/worker-1")
    assert before[worker].hosts == ("a", "b")
    assert before[worker].definition != after[worker].definition
    assert units("t/1") == before


def test_what_changes_is_told() -> None:
    one, two = deployed(ONE).manifest, deployed(TWO, 2, host="b").manifest
    change = Change.between(one, two)
    assert change.added == ("home/w",)
    assert change.changed == ("home/hall/y",)
    assert Move(AgentPath("home/hall/x"), "a", "b") in change.moved
    assert Change.between(one, deployed(ONE, 7).manifest).is_nothing
    assert Change.between(two, one).removed == ("home/w",)
    assert Change.between(None, one).added == tuple(one.paths)


def test_a_board_that_is_deployed_again_is_nobodys_to_run() -> None:
    def manifest(topic: str, revision: int) -> Manifest:
        spec = matrix(z=rule(topic), probe={"host": "esp", "outputs": {"t": "number"}})
        return deployment_of(spec, {AgentPath("home/z"): ("a",), AgentPath("home/probe"): ()}, revision, "me").manifest

    change = Change.between(manifest("t/z", 1), manifest("t/y", 2))
    assert (change.changed, change.moved) == (("home/z",), ())
    assert Change.between(manifest("t/z", 1), manifest("t/z", 2)).is_nothing


def test_hosts_of_a_matrix_that_signs_know_who_may_give_orders() -> None:
    def known(**more: object) -> object:
        spec = load({"matrix": "home", "access": {"operators": {"anna": {}}}, "agents": {"z": {"inputs": {"go": "any"}}}, **more})
        return spec_of(deployment_of(spec, {AgentPath("home/z"): ("a",)}, 1, "anna")).access

    assert known() is None
    assert list(known(sign=True).operators) == ["anna"]  # type: ignore[attr-defined]


def test_a_deployment_is_kept_whole_or_not_at_all(tmp_path: Any) -> None:
    kept = KeptDeployment(tmp_path / "state")
    assert kept.read() is None
    kept.write(deployed(ONE))
    kept.write(deployed(TWO, 2))
    assert kept.read() == deployed(TWO, 2)
    file = tmp_path / "state" / "deployment.json"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StateError, match="damaged"):
        kept.read()
    kept.forget()
    assert kept.read() is None


BIRTH = Birth(
    "pi",
    is_online=True,
    session="s",
    since="2026-01-01T00:00:00Z",
    version="1.2",
    agents=3,
    matrix="home",
    revision=4,
    load=0.25,
    follows=True,
    capability=Capability(("light",), 512, ("lamp",), ("numpy",), ("rules",)),
    refused=Refused(5, "no"),
)


def test_a_birth_comes_as_it_went() -> None:
    assert read_birth("pi", encode_birth(BIRTH)) == BIRTH
    plain = msgspec.json.decode(encode_birth(BIRTH))
    assert read_birth("pi", msgspec.json.encode({**plain, "more": 1})) == BIRTH
    assert read_birth("pi", b'{"v":1,"status":"offline","session":"s"}') == Birth("pi", is_online=False, session="s")


def test_a_birth_of_another_protocol_is_known_for_that() -> None:
    plain = msgspec.json.decode(encode_birth(BIRTH))
    assert read_birth("pi", msgspec.json.encode({**plain, "protocol": 2})).protocol == 2
    other = read_birth("pi", msgspec.json.encode({**plain, "v": 2, "protocol": 2, "labels": 7}))
    assert (other.protocol, other.is_online, other.capability) == (2, True, Capability())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "here"}, "expected online or offline"),
        ({"labels": "light"}, "labels has to be a list"),
        ({"packages": ["x"] * 1_001}, "packages has to be a list"),
        ({"load": -1}, "load has to be a number"),
        ({"agents": 1.5}, "agents has to be a whole number"),
        ({"refused": {"revision": 1, "reason": 3}}, "reason has to be a text"),
        ({"version": "x" * 201}, "version has to be a text"),
    ],
)
def test_a_wrong_birth_says_what_is_wrong(change: dict[str, object], told: str) -> None:
    plain = msgspec.json.decode(encode_birth(BIRTH))
    with pytest.raises(CodecError, match=told):
        read_birth("pi", msgspec.json.encode({**plain, **change}))


def test_what_a_host_can_do_is_bounded() -> None:
    able = Capability(packages=tuple(f"package{number:04}" for number in range(5_000))).bounded()
    assert len(able.packages) == 1_000
    assert len(encode_birth(msgspec.structs.replace(BIRTH, capability=able))) < BIRTH_BYTES_MAX
