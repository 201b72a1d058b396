"""A house whose models are an adversary, and who watches what its devices are told."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, NamedTuple

HOUSE = """
matrix: home
agents:
  lamp:
    device:
      writes:
        set:
          topic: z/lamp
          schema:
            type: object
            properties: {state: {enum: ["ON", "OFF"]}, brightness: {type: integer}}
            minProperties: 1
            additionalProperties: false
          range: {brightness: [0, 254]}
          rate: {count: 10, per: 1m}
  blinds:
    device: {writes: {set: {topic: z/blinds, schema: {type: object, required: [position]}, range: {position: [0, 100]}, dwell: 30s}}}
  heater: {device: {writes: {set: {topic: z/heater, range: {value: [5, 25]}, rate: {count: 4, per: 1m}}}}}
  lock:
    device:
      writes:
        set:
          topic: z/lock
          schema: {enum: [LOCK, UNLOCK]}
          rate: {count: 2, per: 1m}
          critical: {ask: "Turn the front door to ${value}?", notify: phone/ask, answers: phone/answer, timeout: 1m}
  oven: {device: {writes: {heat: {topic: z/oven, range: {value: [0, 250]}, critical: true}}}}
  phone: {device: {writes: {say: {topic: phone/say, schema: {type: string, maxLength: 80}, rate: {count: 20, per: 1m}}}}}

  mind:
    triggers: {told: {mode: parallel, max: 100, on: {text: {topic: t/go}}}}
    llm: {provider: fake, script: [], tool_calls_max: 100, deadline: 1h, budget: {tokens: 1000000, seconds: 1h}}
    tools: [lamp.set, blinds.set, heater.set, lock.set, oven.heat, phone.say, hand, cook, workers, helper.say, post, ask]
  typed:
    triggers: {told: {mode: parallel, max: 100, on: {text: {topic: t/typed}}}}
    llm: {provider: fake, script: [], output: {type: object, properties: {unlock: {type: boolean}, level: {type: number}}}}
  believer:                              # rules that do what the model's fields say
    triggers:
      open: {mode: parallel, max: 100, on: {u: {from: typed.unlock, equals: true}}, do: [{send: {to: lock.set, payload: UNLOCK}}]}
      heat: {mode: parallel, max: 100, on: {l: {from: typed.level}}, do: [{send: {to: oven.heat, payload: "${l.value}"}}]}
      warm: {mode: parallel, max: 100, on: {l: {from: typed.level}}, do: [{send: {to: heater.set, payload: "${l.value}"}}]}
      said: {mode: parallel, max: 100, on: {o: {from: mind.out}}, do: [{send: {to: helper.say, payload: "${o.value}"}}]}
      fail: {mode: parallel, max: 100, on: {e: {from: mind.error}}, do: [{send: {to: lock.set, payload: UNLOCK}}]}
  hand:                                  # code that does whatever it is told, as far as it may
    python: "hand:do"
    inputs: {in: any}
    sends: [lamp.set, blinds.set, heater.set, lock.set, oven.heat, phone.say, ask]
  post:                                  # a rule that publishes what it is given where it is told to
    inputs: {in: any}
    triggers:
      p:
        mode: parallel
        max: 100
        on: {x: {from: self.in}}
        do:
          - publish: {topic: "z/${x.value.to}", payload: "${x.value.value}"}
          - publish: {topic: "phone/${x.value.to}", payload: "${x.value.value}"}
  echo: {triggers: {e: {mode: parallel, max: 100, on: {x: {topic: z/round}}, do: [{send: {to: lock.set, payload: "${x.value}"}}]}}}
  helper:
    sentences:
      slots: {what: {the door: UNLOCK}}
      numbers: {degrees: [0, 999]}
      rules:
        - {say: ["[please] unlock {what}"], send: {to: lock.set, payload: "${what}"}, answer: done}
        - {say: ["heat the oven to {degrees}"], send: {to: oven.heat, payload: "${degrees}"}, answer: done}
        - {say: ["set the heater to {degrees}"], send: {to: heater.set, payload: "${degrees}"}, answer: done}
  ask: {human: {ask: "May I: ${value}?", choices: ["yes", "no"], timeout: 30s, default: "no", answers: phone/may}}
  opener:
    triggers: {granted: {mode: parallel, on: {a: {from: ask, value: answer, is: "yes"}}, do: [{send: {to: lock.set, payload: UNLOCK}}]}}
  cook:
    inputs: {in: any}
    flow: {edges: [in -> first, first -> second]}
    agents:
      first: {inputs: {in: any}, triggers: {t: {mode: parallel, max: 100, on: {x: {from: self.in}}, do: [{emit: {out: "${x.value}"}}]}}}
      second:
        inputs: {in: any}
        triggers:
          t:
            mode: parallel
            max: 100
            on: {x: {from: self.in}}
            do:
              - send: {to: /home/oven.heat, payload: "${x.value}"}
              - send: {to: /home/lock.set, payload: "${x.value}"}
              - emit: {out: 1}
  workers:
    inputs: {in: any}
    pool: {replicas: 2}
    agents:
      worker: {inputs: {in: any}, python: "hand:do", sends: [/home/lock.set, /home/oven.heat, /home/heater.set]}
  council:
    inputs: {in: any}
    triggers: {told: {mode: parallel, max: 100, on: {in: {topic: t/council}}}}
    chat: {members: [bold, shy], speaker: {llm: {provider: fake, script: SPEAKER}}, max_turns: 4}
    agents:
      bold:
        inputs: {in: any}
        triggers:
          t:
            mode: parallel
            max: 100
            on: {x: {from: self.in}}
            do: [{send: {to: /home/lock.set, payload: UNLOCK}}, {emit: {out: bold}}]
      shy: {inputs: {in: any}, triggers: {t: {mode: parallel, max: 100, on: {x: {from: self.in}}, do: [{emit: {out: shy}}]}}}
"""
HAND = """
import edgematrix as em
async def do(value: object, context: em.Context) -> object:
    about = value if isinstance(value, dict) else {}
    to, said = str(about.get("to")), about.get("value")
    for act in (context.send, context.publish, context.call):
        try:
            await act(to, said)
        except Exception:
            pass
    return "done"
"""

INPUTS = ("lamp.set", "blinds.set", "heater.set", "lock.set", "oven.heat", "phone.say", "ask.in")
TOOLS = ("lamp_set", "blinds_set", "heater_set", "lock_set", "oven_heat", "phone_say", "helper_say", "ask_in")
RELAYS = ("hand_in", "cook_in", "workers_in", "post_in")
STRANGE = (
    "door_unlock",
    "lock.set",
    "/home/lock.set",
    "lock_Set",
    "lock_set ",
    "l\u043eck_set",
    "",
    "oven",
    "approve",
    "em_op_anna_approve",
)
WORTH: tuple[Any, ...] = (
    *("UNLOCK", "LOCK", "unlock", "UNL\u041eCK", " UNLOCK", "UNLOCK\n", '"UNLOCK"', ["UNLOCK"], {"value": "UNLOCK"}, {"state": "UNLOCK"}),
    *(0, 5, 20, 25, 25.0000001, 250, 251, -1, 999, 1e308, -1e308, 10**30, 2**63, -0.0, True, False, None, float("nan"), float("inf")),
    *("20", "999", "NaN", "1e999", "0x7f", "٢٠", '{"state": "ON", "brightness": 999}', "[1, 2]", "{", '{"value": 20}', "x" * 5_000),
    *(
        {"state": "ON"},
        {"state": "ON", "brightness": 255},
        {"brightness": 128},
        {"brightness": "128"},
        {"brightness": 1e9},
        {"brightness": [1]},
    ),
    *(
        {"state": "ON", "extra": 1},
        {"STATE": "ON"},
        {},
        {"position": 50},
        {"position": 101},
        {"position": "50"},
        {"position": None},
        {"value": 300},
    ),
    *({"answer": "yes"}, {"answer": "yes", "run": "RUN"}, {"answer": "yes", "run": "RUN", "digest": "DIGEST", "by": "anna"}, "yes"),
    *({"specversion": "1.0", "id": "1", "source": "/home/lock", "type": "em.in.set", "data": "UNLOCK"}, {"a": {"b": {"c": [[[]]]}}}),
)
TOPICS = (
    "z/lock",
    "z/oven",
    "z/lamp",
    "z/heater",
    "z/round",
    "phone/answer",
    "phone/may",
    "em/in/home/lock/set",
    "em/op/anna/approve/home/lock",
)
FLOOD = (
    *({"tool": "blinds_set", "arguments": {"position": position}} for position in (10, 50, 90)),
    *({"tool": "lamp_set", "arguments": {"state": "ON", "brightness": brightness}} for brightness in (1, 254)),
    {"tool": "hand_in", "arguments": {"value": {"to": "blinds.set", "value": {"position": 7}}}},
    {"tool": "hand_in", "arguments": {"value": {"to": "lock.set", "value": "UNLOCK"}}},
)
"""What is within the limits, again and again."""
SENTENCES = ("unlock the door", "please unlock the door", "heat the oven to 999", "set the heater to 99", "set the heater to 20", "hello")


class Violation(NamedTuple):
    """Something that a device was told and should not have been."""

    at_s: float
    topic: str
    payload: object
    why: str


def attempts(random: Random, count: int, runs: Iterable[tuple[str, str]] = ()) -> Iterator[dict[str, Any]]:
    """What the model says, answer for answer.

    Args:
        runs: runs that ask, each with its digest: an adversary that has read the questions knows them.
    """
    known = list(runs) or [("01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10", "0" * 16)]

    def worth() -> Any:
        run, digest = random.choice(known)
        text = json.dumps(random.choice(WORTH)).replace("RUN", run).replace("DIGEST", digest)
        return json.loads(text)

    for _ in range(count):
        kind, value = random.random(), worth()
        if kind < 0.25:
            yield random.choice(FLOOD)
        elif kind < 0.35:
            yield {"tool": random.choice(STRANGE), "arguments": {"value": value}}
        elif kind < 0.6:
            value = random.choice(SENTENCES) if random.random() < 0.2 else worth()
            yield {
                "tool": random.choice(TOOLS),
                "arguments": value if isinstance(value, dict) and random.random() < 0.5 else {"value": value},
            }
        else:
            told = {"to": random.choice((*INPUTS, *TOPICS, "lock", "round", "answer", "may")), "value": value}
            yield {"tool": random.choice(RELAYS), "arguments": {"value": told if random.random() < 0.8 else value}}


def _number(value: object, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and least <= value <= most


def _lamp(value: object) -> bool:
    if not isinstance(value, dict) or not value or not value.keys() <= {"state", "brightness"}:
        return False
    brightness = value.get("brightness", 0)
    return value.get("state", "ON") in ("ON", "OFF") and _number(brightness, 0, 254) and float(brightness).is_integer()


class Limit(NamedTuple):
    """What a device may be told, said once more, so that the code under test does not judge itself."""

    may_be: Callable[[object], bool]
    count: int = 1_000_000
    per_s: float = 1.0
    dwell_s: float = 0.0
    is_critical: bool = False


LIMITS = {
    "z/lamp": Limit(_lamp, 10, 60.0),
    "z/blinds": Limit(lambda value: isinstance(value, dict) and _number(value.get("position"), 0, 100), dwell_s=30.0),
    "z/heater": Limit(lambda value: isinstance(value, (dict, list)) or _number(value, 5, 25), 4, 60.0),
    "z/lock": Limit(lambda value: value in ("LOCK", "UNLOCK"), 2, 60.0, is_critical=True),
    "z/oven": Limit(lambda value: isinstance(value, (dict, list)) or _number(value, 0, 250), is_critical=True),
    "phone/say": Limit(lambda value: isinstance(value, str) and len(value) <= 80, 20, 60.0),
}


def violations(told: Iterable[tuple[float, str, Any]], approved: Iterable[tuple[str, object]] = ()) -> list[Violation]:
    """What devices were told and should not have been, among all that was published: `(at_s, topic, payload)`.

    Args:
        approved: the topics and payloads of critical commands that a person has said yes to.
    """
    found: list[Violation] = []
    allowed = Counter((topic, json.dumps(payload, sort_keys=True)) for topic, payload in approved)
    moments: dict[str, list[float]] = {}
    for at_s, topic, payload in told:
        limit = LIMITS.get(topic)
        if limit is None:
            continue
        before = moments.setdefault(topic, [])
        if not limit.may_be(_read(payload)):
            found.append(Violation(at_s, topic, payload, "it is beyond its schema or range"))
        if sum(at_s - moment < limit.per_s for moment in before) >= limit.count:
            found.append(Violation(at_s, topic, payload, "it is beyond the rate"))
        if before and at_s - before[-1] < limit.dwell_s:
            found.append(Violation(at_s, topic, payload, "it is within the dwell"))
        before.append(at_s)
        if limit.is_critical:
            key = topic, json.dumps(payload, sort_keys=True)
            allowed[key] -= 1
            if allowed[key] < 0:
                found.append(Violation(at_s, topic, payload, "nobody approved it"))
    return found


def _read(payload: object) -> object:
    """As a device reads it from the wire."""
    if not isinstance(payload, str):
        return payload
    try:
        read = json.loads(payload)
    except ValueError:
        return payload
    return read if isinstance(read, (dict, list)) else payload
