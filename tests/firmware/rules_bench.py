"""One trigger group judged by the host and by the rules of boards, in virtual time: what fired, when, and what it read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.triggers import Arrival, Calendar, Group, GroupSpec, Hits, RunEnded, Start, Tick
from edgematrix.triggers.pushdown import Form, rule_form, sieve_form
from firmware_bridge import micropython

JUDGE = Path(__file__).parent / "judge.py"
_SPEC = TypeAdapter(GroupSpec)


class Case(NamedTuple):
    """A group, the values that come (at whole milliseconds), and until when it is looked at."""

    group: Mapping[str, Any]
    steps: Sequence[tuple[int, str, Any]]
    until: int


def spec_of(group: Mapping[str, Any]) -> GroupSpec:
    return _SPEC.validate_python({key: value for key, value in group.items() if key != "do"})


def form_of(group: Mapping[str, Any]) -> Form:
    """The rule of a group whose topics are the ports of a board."""
    spec = spec_of(group)
    form = rule_form(spec, {name: source.topic for name, source in spec.on.items() if source.topic is not None})
    found: Form = json.loads(json.dumps(form))
    return found


def sieves_of(group: Mapping[str, Any]) -> list[Any]:
    """What a board sifts for a group that the host judges, and whose values of levels nobody reads."""
    ports: dict[str, list[Any]] = {}
    for name, source in spec_of(group).on.items():
        form = sieve_form(name, source, source.topic or "", is_read=False)
        assert form is not None
        ports.setdefault(source.topic or "", []).append(form)
    found: list[Any] = json.loads(json.dumps([[port, forms] for port, forms in ports.items()]))
    return found


def without_levels(case: Case, fired: Sequence[Any]) -> list[Any]:
    """Firings without the values of levels, of which a host that hears less knows the side alone."""
    plain = [not {"above", "below", "equals", "not"} & set(source) for source in case.group["on"].values()]
    return [
        [moment, at, [one if is_plain or one is None else "level" for one, is_plain in zip(readings, plain, strict=True)]]
        for moment, at, readings in fired
    ]


def on_host(case: Case) -> list[Any]:
    """The firings of the host's group: `[moment, fired at, readings]`, as a board tells them."""
    spec = spec_of(case.group)
    filters = [TopicFilter.parse(source.topic or "") for source in spec.on.values()]
    group = Group(spec, path="home/rule", name="g", calendar=Calendar())
    found: list[Any] = []

    def take(step: Any, now_us: int) -> Any:
        while True:
            ended = []
            for effect in step.effects:
                if isinstance(effect, Start):
                    firing = effect.firing
                    readings = [_reading(spec, name, firing.sources[name]) for name in spec.on]
                    found.append([now_us // 1000, firing.fired_at_us // 1000, readings])
                    ended.append(effect.run)
            for run in ended:
                step = group.step(step.state, RunEnded(run), now_us)
            if not ended:
                return step

    step = take(group.start(0), 0)
    for moment, topic, payload in [*case.steps, (case.until, "", None)]:
        while step.deadline_us is not None and step.deadline_us <= moment * 1000:
            due = step.deadline_us
            step = take(group.step(step.state, Tick(), due), due)
        hits: Hits = tuple((index, {}) for index, wanted in enumerate(filters) if wanted.subscription == topic)
        if hits:
            step = take(group.step(step.state, Arrival(Message(topic, payload), hits), moment * 1000), moment * 1000)
    return found


def _reading(spec: GroupSpec, name: str, reading: Any) -> Any:
    if reading is None:
        return None
    source = spec.on[name]
    more = [reading.payload] if source.value is not None or source.aggregate is not None else []
    return [reading.value, reading.time_us // 1000, *more]


def on_board(
    cases: Sequence[Case], interpreter: Sequence[str], file: Path, *, how: str = "", forms: Sequence[Form] | None = None
) -> list[Any]:
    """The same from `judge.py` under an interpreter: all cases in one process. A text says why a case could not be judged.

    `how` is `sleeps` where the rules are stored and read again after each value, `sieve` for what is let out in place of firings.
    """
    made = [form_of(case.group) for case in cases] if forms is None else forms
    lines = (json.dumps([form, case.steps, case.until]) for form, case in zip(made, cases, strict=True))
    file.write_text("".join(f"{line}\n" for line in lines))
    words = [*interpreter, str(JUDGE), str(file), *([how] if how else [])]
    done = subprocess.run(words, env=micropython.environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
