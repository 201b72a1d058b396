"""Flows and other composites in Python: the model that they make, what is refused while they are drawn, and that they run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import edgematrix as em
from edgematrix.agents.spec import DeviceSpec, WriteSpec
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import parse_document
from edgematrix.config.exchange import dump, load
from edgematrix.config.reading import checked, parse_matrix
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import ConfigError, PathError, UsageError
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Simulation


class Facts(BaseModel):
    names: list[str]


class Analysis(BaseModel):
    score: float
    detail: str = ""


@dataclass
class Picture:
    url: str


class Verdict(BaseModel):
    verdict: Literal["fine", "redo"]


class Parts(BaseModel):
    analyse: Analysis
    photo: Picture | None = None
    critic: Verdict | None = None


class Summary(BaseModel):
    text: str
    round: int


async def collect(request: str, context: em.Context) -> Facts:
    return Facts(names=request.split())


async def analyse(facts: Facts, context: em.Context) -> Analysis:
    return Analysis(score=len(facts.names))


def photo(facts: Facts, context: em.Context) -> Picture | None:
    return Picture(url=f"http://x/{facts.names[0]}") if facts.names else None


async def summarise(parts: Parts, context: em.Context) -> Summary:
    return Summary(text=f"{parts.analyse.score} {parts.photo and parts.photo.url}", round=2 if parts.critic else 1)


async def critic(summary: Summary, context: em.Context) -> Verdict:
    return Verdict(verdict="redo" if summary.round == 1 else "fine")


def drawn(home: em.Matrix) -> em.Flow:
    report = home.flow("report", inputs={"request": str}, max_steps=20, deadline="2m")
    first, left = report.agent()(collect), report.agent()(analyse)
    right, last, judge = report.agent()(photo), report.agent(retry=em.Retry(attempts=3), deadline="10s")(summarise), report.agent()(critic)
    report.input("request") >> first >> [left, right] >> last >> judge
    judge.when("verdict == 'redo'") >> last
    report.output("summary", last, retain=True)
    return report


WRITTEN = """
matrix: home
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: summarise, retain: true, schema: SUMMARY}}
    flow:
      edges:
        - request -> collect
        - collect -> analyse, photo
        - analyse, photo -> summarise
        - summarise -> critic
        - {from: critic, to: summarise, when: "verdict == 'redo'"}
      max_steps: 20
      deadline: 2m
    agents:
      collect: {python: "HERE:collect", inputs: {in: text}, outputs: {out: {schema: FACTS}}}
      analyse: {python: "HERE:analyse", inputs: {in: {schema: FACTS}}, outputs: {out: {schema: ANALYSIS}}}
      photo: {python: "HERE:photo", inputs: {in: {schema: FACTS}}, outputs: {out: {schema: PICTURE}}}
      summarise:
        python: "HERE:summarise"
        retry: {attempts: 3}
        deadline: 10s
        inputs: {in: {schema: PARTS}}
        outputs: {out: {schema: SUMMARY}}
      critic: {python: "HERE:critic", inputs: {in: {schema: SUMMARY}}, outputs: {out: {schema: VERDICT}}}
"""


def test_python_and_yaml_make_the_same_flow() -> None:
    from pydantic import TypeAdapter

    text = WRITTEN.replace("HERE", __name__)
    for name, kind in {"FACTS": Facts, "PICTURE": Picture, "PARTS": Parts, "SUMMARY": Summary, "VERDICT": Verdict}.items():
        text = text.replace(name, json.dumps(TypeAdapter(kind).json_schema()))
    text = text.replace("ANALYSIS", json.dumps(Analysis.model_json_schema(mode="serialization")))
    home = em.Matrix("home")
    drawn(home)
    assert home.spec() == parse_matrix(parse_document(text, "m.yaml")).spec


def everything() -> em.Matrix:
    home = em.Matrix("home")
    report = drawn(home)

    async def saver(turn: dict[str, Any], context: em.Context) -> Verdict:
        return Verdict(verdict="fine")

    async def any_text(request: str, context: em.Context) -> None: ...

    @home.agent(name="comfort")
    def cosy(turn: dict[str, Any], context: em.Context) -> Verdict:
        return Verdict(verdict="redo")

    council = home.chat("council", members=[cosy, saver, "host"], speaker={"rule": "'saver'"}, until="verdict == 'fine'", max_turns=8)
    council.agent(name="host")(saver)
    council.agent(name="guest")(saver)
    home.switch("lock", cases=[("value == 'a'", collect)], default=any_text, inputs={"request": str})
    workers = home.pool("workers", replicas=3, key="user", busy_max=2)
    workers.agent(name="worker")(saver)
    home.human("ask", ask="Unlock ${door}?", choices=["yes", "no"], timeout="5m", default="no", notify="phone/ask")
    inner = home.flow("inner", when=em.every_message("t/x", Facts))
    inner.input() >> inner.agent(name="one")(analyse)
    deep = report.flow("deep")
    deep.input() >> deep.agent(name="one")(analyse)
    lamp = report.add("lamp", AgentSpec(device=DeviceSpec(writes={"set": WriteSpec(topic="z/set")})))
    report.input("request") >> deep >> lamp
    report.create_edge("collect", lamp, when="names != []")
    return home


def test_every_kind_is_checked_and_travels() -> None:
    spec = everything().spec()
    assert checked(spec).spec is spec
    assert load(json.loads(json.dumps(dump(spec)))) == spec


def test_the_definitions_say_what_was_said() -> None:
    agents = everything().spec().agents
    chat, lock, pool, human = agents["council"].chat, agents["lock"].switch, agents["workers"].pool, agents["ask"].human
    assert chat is not None
    assert chat.members == ["comfort", "saver", "host", "guest"]
    assert (chat.until, chat.max_turns) == ("verdict == 'fine'", 8)
    assert list(agents["council"].agents) == ["comfort", "saver", "host", "guest"]
    assert "comfort" not in agents
    assert lock is not None
    assert [(case.when, case.to) for case in lock.cases] == [("value == 'a'", "collect")]
    assert lock.default == "any_text"
    assert pool is not None
    assert (pool.replicas, pool.key, pool.busy_max) == (3, "user", 2)
    assert human is not None
    assert (human.choices, human.timeout, human.default) == (["yes", "no"], 300_000_000, "no")
    assert list(agents["inner"].triggers) == ["when"]


def test_the_code_of_every_replica_is_known() -> None:
    code = everything().code()
    assert {path for path in code if "workers" in path} == {f"home/workers/worker-{number}" for number in (1, 2, 3)}
    assert code["home/council/comfort"].code.name == "home/council/comfort"  # type: ignore[index]


def pair(first: Callable[..., Any], second: Callable[..., Any]) -> tuple[em.Flow, Any, Any]:
    flow = em.Matrix("home").flow("f", inputs={"request": str, "level": float})
    return flow, flow.agent(name="a")(first), flow.agent(name="b")(second)


def takes_number(value: float, context: em.Context) -> Analysis:
    return Analysis(score=value)


class Other(BaseModel):
    score: str


def takes_other(value: Other, context: em.Context) -> None: ...


def test_ends_whose_types_do_not_fit_are_refused_with_the_field_and_both_agents() -> None:
    _, a, b = pair(takes_number, takes_other)
    with pytest.raises(UsageError, match="home/f/a and home/f/b do not fit: score: a number, expected a text"):
        a >> b
    _, a, b = pair(collect, takes_other)
    with pytest.raises(UsageError, match="score: missing, expected a text"):
        a >> [b]
    flow, a, b = pair(collect, takes_number)
    with pytest.raises(UsageError, match="home/f.request and home/f/b do not fit: a text, expected a number"):
        flow.input("request") >> b
    with pytest.raises(UsageError, match="do not fit: an object, expected a number"):
        flow.create_edge(a, b, when="names != []")
    assert flow.input("level") >> b is b


def test_a_join_is_compared_part_by_part() -> None:
    flow, a, b = pair(takes_number, summarise)
    wrong = flow.agent(name="analyse")(collect)
    with pytest.raises(UsageError, match=r"home/f/analyse and home/f/b do not fit: analyse\.score: missing"):
        wrong >> b
    with pytest.raises(UsageError, match="an object of a or request, expected a number"):
        [a, flow.input("request")] >> flow.agent(name="d")(takes_number)


def test_parts_that_come_by_and_by_are_no_mismatch() -> None:
    flow, _, last = pair(takes_number, summarise)
    first = flow.agent(name="analyse")(takes_number)
    first >> last
    flow.agent(name="photo")(photo) >> last
    assert last.holder is flow


def test_what_an_agent_writes_counts_not_what_it_reads() -> None:
    class Detailed(BaseModel):
        detail: str

    def takes_detail(value: Detailed, context: em.Context) -> None: ...

    _, a, b = pair(takes_number, takes_detail)
    assert a >> b is b  # `detail` has a default, so it is always written


def test_a_condition_on_a_field_that_is_not_there_is_refused() -> None:
    _, a, b = pair(takes_number, takes_number_of)
    with pytest.raises(UsageError, match="'scor > 1' on what home/f/a gives is wrong: .*scor.*score"):
        a.when("scor > 1") >> b
    with pytest.raises(UsageError, match="gives is wrong"):
        a.when("score >") >> b
    a.when("score > 1") >> [b]


def takes_number_of(value: Analysis, context: em.Context) -> None: ...


def test_agents_that_are_not_in_one_flow_have_no_edge() -> None:
    home = em.Matrix("home")
    flow, other = home.flow("f"), home.flow("g")
    a, b, c = flow.agent(name="a")(collect), other.agent(name="b")(analyse), home.agent(name="c")(analyse)
    with pytest.raises(UsageError, match="home/f/a and home/g/b are not in one flow"):
        a >> b
    with pytest.raises(UsageError, match="home/f/a and home/c are not in one flow"):
        a >> [c]
    with pytest.raises(UsageError, match="home/c and home/f/a are not in one flow"):
        [c] >> a
    with pytest.raises(UsageError, match="home/c is not in this flow"):
        flow.create_edge("a", c)
    with pytest.raises(UsageError, match="home/c is no agent of this flow"):
        flow.output("x", c)
    assert flow.input() >> a >> flow.composite("hall") is not None


def test_what_is_no_end_is_refused() -> None:
    flow, a, b = pair(collect, analyse)
    with pytest.raises(TypeError):
        a >> 5
    with pytest.raises(TypeError):
        5 >> a
    with pytest.raises(UsageError, match="found 5"):
        a >> [b, 5]
    with pytest.raises(UsageError, match="found an empty list"):
        [] >> a
    with pytest.raises(UsageError, match="no input 'requst' .did you mean 'request'"):
        flow.input("requst")
    with pytest.raises(UsageError, match="home/f.request is an input of the flow"):
        a >> flow.input("request")
    with pytest.raises(UsageError, match="works by its own `when`"):
        a >> flow.agent(when=em.every("1s"), name="c")(lambda_like)
    with pytest.raises(UsageError, match="there is an output 'x' already"):
        [flow.output("x", a) for _ in range(2)]
    with pytest.raises(UsageError, match="the flow has no edges"):
        flow.definition()
    with pytest.raises(PathError, match="'Request'"):
        em.Matrix("home").flow("f", inputs={"Request": str})


def lambda_like(value: None, context: em.Context) -> None: ...


def test_a_type_without_a_form_in_json_is_refused_by_name() -> None:
    class Opaque: ...

    def takes_opaque(value: Opaque, context: em.Context) -> None: ...

    with pytest.raises(UsageError, match="values of Opaque have no form in JSON"):
        em.Matrix("home").agent()(takes_opaque)


def test_a_member_of_a_name_that_is_taken_is_refused() -> None:
    home = em.Matrix("home")
    chat = home.chat("council", members=[collect])
    with pytest.raises(UsageError, match="home/council: there is an agent 'collect' already"):
        chat.take_in(home.agent(name="collect")(collect))
    assert chat.take_in(chat.agent(name="own")(collect)) == "own"


def test_edges_that_are_drawn_one_by_one_are_compared_as_a_join_at_load() -> None:
    home = em.Matrix("home")
    flow = home.flow("f")
    a, b, last = flow.agent(name="a")(analyse), flow.agent(name="b")(analyse), flow.agent(name="last")(takes_number_of)
    flow.input() >> [a, b]
    a >> last
    b >> last
    with pytest.raises(ConfigError, match="the types of a, b -> last do not fit: score: missing, expected a number"):
        checked(home.spec())


# Running


def play(home: em.Matrix, topic: str, *payloads: Any, watch: str) -> list[Any]:
    spec = checked(home.spec()).spec
    simulation = Simulation(spec, loader=CodeLoader(defined=home.code()), watch=[watch])
    inputs = [Recorded(number * 1_000_000, topic, payload) for number, payload in enumerate(payloads)]
    return [seen.payload for seen in simulation.play(inputs, 60_000_000)]


def test_a_flow_runs_with_its_joins_and_its_loop() -> None:
    home = em.Matrix("home")
    drawn(home)
    told = play(home, "em/in/home/report/request", "one two", "", watch="em/out/home/report/summary")
    assert told == [{"text": "2.0 http://x/one", "round": 2}, {"text": "0.0 None", "round": 2}]


def test_an_agent_without_when_works_on_what_it_is_sent_in_the_form_that_it_asks_for() -> None:
    home = em.Matrix("home")

    @home.agent()
    async def plain(reading: Analysis, context: em.Context) -> float:
        return reading.score

    @home.agent()
    async def whole(firing: em.Firing, context: em.Context) -> str:
        return f"{firing.value('in')}"

    assert play(home, "em/in/home/plain/in", {"score": 2}, {"score": "x"}, watch="em/out/home/plain/out") == [2.0]
    assert play(home, "em/in/home/whole/in", 5, watch="em/out/home/whole/out") == ["5"]


def test_the_output_of_a_flow_is_a_source_and_a_pool_runs_its_code() -> None:
    home = em.Matrix("home")
    pool = home.pool("workers", replicas=2, inputs={"request": str})
    inner = pool.flow("worker", inputs={"request": str})
    inner.input("request") >> inner.agent()(collect)
    flow = home.flow("count", when=em.every_message("t/facts", Facts))
    scorer = flow.agent()(analyse)
    flow.input() >> scorer
    score = flow.output("score", scorer)

    @home.agent(when=score.where("score > 1"))
    async def tell(found: Analysis, context: em.Context) -> None:
        await context.publish("t/told", found.score)

    assert play(home, "t/facts", {"names": ["a"]}, {"names": ["a", "b"]}, watch="t/told") == [2.0]
    assert play(home, "em/in/home/workers/request", "a b", watch="em/out/home/workers/out") == [{"names": ["a", "b"]}]
