"""A matrix of a hundred agents of all kinds, on several hosts, with everybody who may be let in; and every topic that it could mean."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from edgematrix.access.principal import Principal
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.authority import ORDERS, principals_of
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.protocol.topic import Kind

AREAS = 7


def area(number: int, hosts: list[str]) -> dict[str, Any]:
    """Fifteen agents; where they run differs from area to area."""
    following = f"area{(number + 1) % AREAS}"
    place: dict[str, Any] = [{"host": hosts[0]}, {"host": hosts[1]}, {"needs": {"labels": ["gpu"]}}, {}][number % 4]
    step = {"triggers": {"go": {"on": {"in": {"from": "self.in"}}, "do": [{"emit": {"out": 1}}]}}, "inputs": {"in": "any"}}
    agents: dict[str, Any] = {
        "lamp": {
            "device": {
                "reads": {"light": {"topic": f"zigbee2mqtt/lamp{number}", "value": "state"}},
                "writes": {"set": {"topic": f"zigbee2mqtt/lamp{number}/set"}},
                "availability": {"topic": f"zigbee2mqtt/lamp{number}/availability"},
            }
        },
        "dark": {
            "triggers": {
                "now": {
                    "on": {"light": {"from": "lamp.light"}, "sun": {"topic": f"weather/{number}/+"}},
                    "do": [
                        {"send": {"to": "lamp.set", "payload": 1}},
                        {"send": {"to": f"/plant/{following}/tank.pump", "payload": 1}},
                        {"publish": {"topic": f"shop/${{light}}/dark{number}", "payload": 1}},
                    ],
                }
            }
        },
        "meter": {
            "python": "meters:meter",
            "sends": [f"/plant/{following}/dark2.in"],
            "publishes": [f"billing/{number}/#"],
            "inputs": {"in": "any"},
        },
        "dark2": {**step, "host": "pi_c"},
        "course": {
            "delivery": "durable",
            "flow": {"edges": ["in -> one", "one -> two"]},
            "agents": {"one": step, "two": {**step, "host": "pi_b"}},
        },
        "workers": {
            "pool": {"replicas": 2},
            "agents": {"worker": {"python": "meters:work", "inputs": {"in": "any"}}},
        },
        "tank": {"host": f"board{number}", "inputs": {"pump": "any"}, "outputs": {"level": "any"}},
        # The child has the name of a port of its parent's neighbour, and boards stand at every depth.
        "nested": {"agents": {"deep": {"agents": {"level": {"host": "boardx", "inputs": {"set": "any"}, "outputs": {"out": "any"}}}}}},
        "guard": {
            "failover": ["pi_a", "pi_b"],
            "triggers": {
                "low": {"on": {"level": {"from": "tank.level"}}, "do": [{"call": {"agent": f"/plant/{following}/dark2", "payload": 1}}]}
            },
        },
        "ask": {
            "human": {
                "ask": "Open?",
                "choices": ["yes"],
                "default": "yes",
                "timeout": "1m",
                "notify": "phone/ask",
                "answers": "phone/answer",
            }
        },
    }
    return {"agents": agents, **place}


@cache
def plant() -> MatrixSpec:
    hosts = ["pi_a", "pi_b"]
    return build_spec(
        {
            "matrix": "plant",
            "access": {
                "hosts": {"pi_a": {"labels": []}, "pi_b": {"labels": ["gpu"]}, "pi_c": {"labels": []}, "server": {"deploys": True}},
                "operators": {
                    "anna": {},
                    "ben": {"paths": ["plant/area1", "plant/area2/course"], "verbs": ["pause", "resume", "send"]},
                    "rita": {"paths": ["plant/area3"], "verbs": [], "reads": ["weather/#"]},
                    "dora": {"deploys": True, "verbs": ["create"]},
                },
                "clients": {
                    "z2m": {"publishes": ["zigbee2mqtt/#"], "reads": ["zigbee2mqtt/+/set"]},
                    "wall": {"reads": ["+/tele/STATE", "billing/#"]},
                    "nothing": {},
                },
            },
            "agents": {f"area{number}": area(number, hosts) for number in range(AREAS)},
        }
    )


def build_spec(document: dict[str, Any]) -> MatrixSpec:
    return validate(MatrixSpec, document)


@cache
def people() -> tuple[Principal, ...]:
    return tuple(principals_of(plant()))


def topics(spec: MatrixSpec) -> list[str]:
    """Each kind with each path and each port, verbs where they stand, and what lies outside."""
    return list(dict.fromkeys(_topics(spec)))


def _topics(spec: MatrixSpec) -> Iterator[str]:
    tree = AgentTree.of(spec)
    names = [principal.name for principal in principals_of(spec)]
    yield from _of_agent(spec.root, spec.matrix, [])
    for node in tree:
        ports = tree.ports(node)
        yield from _of_agent(spec.root, node.path, [*sorted(ports.inputs), *sorted(ports.outputs), "free"])
    for name in names:
        yield from (f"em/{Kind.OP}/{name}/{verb}/plant/area1" for verb in sorted(ORDERS))
        yield from (f"em/{Kind.HOST}/{name}", f"em/{Kind.HOST}/{name}/x", f"em/{Kind.REPLY}/{name}/session")
        yield from (f"em/{Kind.REPLY}/{name}/anna/1", f"em/{Kind.REPLY}/pi_a/{name}/1")
    for number in range(AREAS):
        lamp = f"zigbee2mqtt/lamp{number}"
        yield from (lamp, f"{lamp}/set", f"{lamp}/availability", f"weather/{number}/sun", f"shop/bright/dark{number}")
        yield from (f"billing/{number}/a/b", f"billing/{number}")
    yield from ("phone/ask", "phone/answer", "weather/x", "zigbee2mqtt", "zigbee2mqtt/bridge/state", "x/tele/STATE", "tele/STATE")
    yield from _OUTSIDE
    for kind in Kind:
        yield from (f"em/{kind}/other/a/b", f"em2/{kind}/plant/area1/lamp/set", f"{kind}/plant/area1/lamp/set")
        yield from (f"em/{kind}", f"/em/{kind}/plant/area1")


_OUTSIDE = (
    *("foreign", "/", "//x", "a//b", "em", "em/out/plant/area1/lamp/light/", "em/out//plant/area1/lamp/light"),
    *("$SYS/broker/uptime", "$SYS/x", "$CONTROL/x", "$CONTROL/dynamic-security/v1", "$MQTT/sub/x", "$JS/API/INFO", "$other/x"),
)


def _of_agent(root: str, path: str, ports: list[str]) -> Iterator[str]:
    for kind in Kind:
        if kind in (Kind.REPLY, Kind.HOST):
            continue
        if kind is Kind.OP:
            yield from (f"{root}/{kind}/{user}/pause/{path}" for user in ("anna", "ben", "dora", "nobody"))
            continue
        yield f"{root}/{kind}/{path}"
        last = {Kind.CTL: ["cancel"], Kind.STATE: ["_snapshot"]}.get(kind, ["x"])
        yield from (f"{root}/{kind}/{path}/{port}" for port in (ports if kind in (Kind.IN, Kind.OUT, Kind.PART) else last))
