"""Whatever a host asks for and may say, wherever agents are placed, is granted by the access list: in memory, over many matrices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from access_guard import Guard, placed

sys.path.append(str(Path(__file__).parents[1] / "runtime"))
from durable_maker import MODULE, DurableMaker
from matrix_maker import Maker

from edgematrix.access.grant import Access, Grant, Grants
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.exchange import load
from edgematrix.config.live import LiveTopology
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.units import units_of
from edgematrix.errors import ConfigError
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.dead_desk import DeadDesk
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.operations import Operations
from edgematrix.runtime.snapshot import snapshot_topic
from edgematrix.runtime.tracer import Tracer
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.scenario import read_scenario
from edgematrix.transport.cover import DisjointCover

ROOT = Path(__file__).parents[2]
HOSTS = ("a", "b", "c")
SCENARIOS = sorted((ROOT / "tests" / "scenarios").rglob("*.scenario.yaml"))
EXAMPLES = [ROOT / "examples" / name for name in ("attic/attic.yaml", "home/home.yaml", "review/review.yaml")]
CLOCK = SystemClock()


def around(places: Places, loader: Any = None) -> Surroundings:
    more = {} if loader is None else {"loader": loader}
    return Surroundings(
        clock=CLOCK, new_id=id_maker(1), workshop=lambda limits, stalled: Workshop(CLOCK, limits, stalled), places=places, **more
    )


def spread(tree: AgentTree, random: Random) -> dict[AgentPath, str]:
    """A host for each agent: mostly that of the one above it."""
    found: dict[AgentPath, str] = {}
    for node in tree:
        above = found.get(AgentPath(node.path.rpartition("/")[0]))
        found[node.path] = above if above is not None and random.random() < 0.5 else random.choice(HOSTS)
    return found


def own_filters(assembly: Assembly) -> Iterator[str]:
    """What a host asks for whatever it runs (`Host.run`)."""
    topology: Any = None
    yield from Operations(assembly, topology, host="a", now_us=CLOCK.now_us, changed=lambda applied: None).filters
    yield Tracer(assembly.engine, assembly.groups, assembly.agents, CLOCK, host="a", is_linked=lambda: True).filter
    yield DeadDesk(assembly.engine, host="a").filter


def said_by(assembly: Assembly, tree: AgentTree, name: str) -> Iterator[str]:
    """The topics that what a host runs may publish on."""
    engine = assembly.engine
    root, matrix = engine.root, engine.matrix
    yield from (f"{root}/host/{name}", f"{root}/reply/{name}/session", f"{root}/dead/{matrix}", f"{root}/trace/{matrix}")
    for path in assembly.agents:
        for kind in ("state", "trace", "dead", "ack"):
            yield f"{root}/{kind}/{path}"
        yield snapshot_topic(root, path)
        for port in (*tree.ports(tree.nodes[path]).outputs, "out", "error", "_end"):
            yield f"{root}/out/{path}/{port}"
            yield f"{root}/part/{path}/{port}"
        for below in tree:
            if is_below(below.path, path):
                yield from (f"{root}/in/{below.path}/{port}" for port in tree.ports(below).inputs)
                yield from (f"{root}/ctl/{below.path}/{verb}" for verb in ("cancel", "pause"))
    yield from (f"{root}/in/{receiver}/{port}" for _, receiver, port in engine.wires)
    yield from engine.deliveries
    for presence in assembly.presences.values():
        yield from (f"{root}/ctl/{path}/cancel" for path in presence._agents)
    if assembly.questions is not None:
        yield from assembly.questions.notify.values()


def watch(spec: MatrixSpec, random: Random, loader: Any = None, rounds: int = 1, **more: Any) -> list[str]:
    """What hosts of a matrix would do beyond their grants, wherever its agents are."""
    found: list[str] = []
    for _ in range(rounds):
        hosts = spread(AgentTree.of(spec), random)
        guard = Guard(placed(spec, hosts, **more), HOSTS)
        found += denied(spec, guard, hosts, loader)
    return found


def denied(spec: MatrixSpec, guard: Guard, hosts: Mapping[AgentPath, str], loader: Any = None, names: tuple[str, ...] = HOSTS) -> list[str]:
    for name in names:
        places = Places(name, hosts)
        try:
            assembly = build(spec, around(places, loader))
        except ConfigError:
            continue  # a module that is not here
        tree = AgentTree.of(spec, places)
        filters = [*assembly.filters, *own_filters(assembly)]
        guard.subscribes_all(name, filters)
        cover = DisjointCover()
        cover.add(filters)
        guard.subscribes_all(name, (found for found in cover if found.startswith("em/")))  # as brokers of MQTT 3.1.1 are asked
        for topic in said_by(assembly, tree, name):
            guard.publishes(name, topic)
        if assembly.workshop is not None:
            assembly.workshop = None
    return guard.denied


def test_hosts_of_all_examples_and_scenarios_stay_within_their_grants() -> None:
    random, tried = Random(8), 0
    for file in (*SCENARIOS, *EXAMPLES):
        opened = read_scenario(file).opened if file.name.endswith(".scenario.yaml") else open_matrix(file)
        if len(AgentTree.of(opened.spec).nodes) == 1:
            continue
        rounds = 3 if file in EXAMPLES else 1
        assert watch(opened.spec, random, opened.loader, rounds, foreign=("zigbee2mqtt/#", "t/#")) == [], file
        tried += rounds
    assert tried > 20


def pooled(random: Random, breadth: int, depth: int) -> Maker:
    return DurableMaker(random, breadth, depth, pools=True)


@pytest.mark.parametrize("maker", [Maker, pooled])
def test_hosts_of_random_matrices_stay_within_their_grants(maker: Callable[[Random, int, int], Maker], tmp_path: Path) -> None:
    (tmp_path / "members.py").write_text(MODULE)
    for seed in range(25):
        random = Random(seed)
        matrix = maker(random, random.randint(1, 4), random.randint(1, 3)).matrix()
        (tmp_path / "matrix.yaml").write_text(json.dumps(matrix))
        opened = open_matrix(tmp_path / "matrix.yaml")
        assert watch(opened.spec, random, opened.loader, 2) == [], seed


def test_one_list_serves_wherever_a_failover_moves_agents(tmp_path: Path) -> None:
    """Who holds what is drawn again and again, and changed while hosts run; the list is made once."""
    (tmp_path / "members.py").write_text(MODULE)
    for seed in range(15):
        random = Random(seed)
        matrix = pooled(random, 3, 2).matrix()
        (tmp_path / "matrix.yaml").write_text(json.dumps(matrix))
        opened = open_matrix(tmp_path / "matrix.yaml")
        tree = AgentTree.of(opened.spec)
        tops = [AgentPath(f"home/{name}") for name in opened.spec.agents]
        moving = {path: random.sample(HOSTS, 2) for path in tops if random.random() < 0.7}
        fixed = {path: random.choice(HOSTS) for path in tops if path not in moving}
        spec = placed(opened.spec, {node.path: fixed.get(_top(node.path), "") for node in tree}, candidates=moving)
        guard = Guard(spec, HOSTS)
        running: dict[str, LiveTopology] = {}
        for _ in range(3):
            holders = fixed | {path: random.choice([*hosts, ""]) for path, hosts in moving.items()}
            hosts = {node.path: holders[_top(node.path)] for node in tree}
            assert denied(opened.spec, guard, hosts, opened.loader) == [], seed
            for name in HOSTS:
                if name not in running:
                    surroundings = around(Places(name, hosts), opened.loader)
                    running[name] = LiveTopology(build(opened.spec, surroundings), surroundings, lambda: opened.spec)  # noqa: B023
                    continue
                applied = running[name].apply(running[name].replan(Places(name, hosts)), CLOCK.now_us())
                guard.subscribes_all(name, applied.subscribe)
            assert guard.denied == [], seed


def _top(path: str) -> AgentPath:
    return AgentPath("/".join(path.split("/")[:2]))


def test_hosts_that_are_named_for_nothing_may_have_what_fits_their_labels() -> None:
    spec = load(
        {
            "matrix": "home",
            "access": {"hosts": {"a": {"labels": ["gpu"]}, "b": {"labels": []}, "c": {}}},
            "agents": {
                "see": {"needs": {"labels": ["gpu"]}, "inputs": {"in": "any"}, "flow": {"edges": ["in -> one"]}, "agents": {"one": RULE}},
                "any": {**RULE, "triggers": {"t": {"on": {"v": {"from": "see"}}, "do": [{"publish": {"topic": "t/any", "payload": 1}}]}}},
                "far": {**RULE, "host": "c"},
            },
        }
    )
    guard, tree = Guard(spec), AgentTree.of(spec)
    for see, other in ((see, other) for see in "ac" for other in "abc"):
        hosts = {node.path: "c" if node.path == "home/far" else see if node.path.startswith("home/see") else other for node in tree}
        assert denied(spec, guard, hosts) == []
    assert guard.subscribes("b", "em/in/home/see/+"), "it has not the label"
    assert guard.publishes("a", "em/state/home/far"), "it is c's"


RULE: dict[str, Any] = {
    "inputs": {"in": "any"},
    "outputs": {"out": "any"},
    "triggers": {"t": {"on": {"v": {"from": "self.in"}}, "do": [{"emit": {"out": "${v.value}"}}]}},
}


def test_what_a_list_lacks_is_found() -> None:
    """The guard of these tests is awake: without one of its grants a host is caught."""
    spec = load({"matrix": "home", "agents": {"one": {**RULE, "host": "a"}, "two": {**RULE, "host": "b", "sends": [], "python": None}}})
    tree = AgentTree.of(spec)
    hosts = {node.path: tree.nodes[node.path].spec.host or "" for node in tree}
    guard = Guard(placed(spec, hosts), HOSTS)
    assert denied(spec, guard, hosts) == []
    for missing in guard.grants["a"]:
        if missing.filter.startswith(("em/in/home/one", "em/out/home/one", "em/state/home/one", "em/op/")) and _is_used(missing):
            poorer = Guard(placed(spec, hosts), HOSTS)
            poorer.grants["a"] = Grants(grant for grant in poorer.grants["a"] if grant != missing)
            assert denied(spec, poorer, hosts), missing


def _is_used(grant: Grant) -> bool:
    return grant.access is Access.READ or not grant.filter.startswith("em/in/")


def test_every_unit_of_a_host_is_in_its_grants() -> None:
    """An agent whose host is named by the one above it goes with that."""
    spec = load({"matrix": "home", "agents": {"top": {"host": "a", "flow": {"edges": ["in -> one"]}, "agents": {"one": RULE}}}})
    assert [unit.path for unit in units_of(AgentTree.of(spec))] == ["home/top"]
    guard = Guard(spec)
    assert not guard.publishes("a", "em/out/home/top/one/out")
    assert guard.publishes("a", "em/out/other/one/out")
