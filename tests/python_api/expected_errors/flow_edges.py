"""Wrong edges of flows, each with what mypy must say about it: the test fails if mypy is content with one of these lines."""

from pydantic import BaseModel

import edgematrix as em


class Facts(BaseModel):
    names: list[str]


class Analysis(BaseModel):
    score: float


class Fine(Analysis):
    detail: str


class Parts(BaseModel):
    analyse: Analysis
    count: int


home = em.Matrix("home")
report = home.flow("report", inputs={"request": str}, max_steps=20, deadline="2m")


@report.agent()
async def collect(request: str, ctx: em.Context) -> Facts:
    return Facts(names=[request])


@report.agent(retry=em.Retry(attempts=3), deadline="10s")
async def analyse(facts: Facts, ctx: em.Context) -> Fine | None:
    return Fine(score=len(facts.names), detail="")


@report.agent()
def count(facts: Facts, ctx: em.Context) -> int:
    return len(facts.names)


@report.agent()
async def join(parts: Parts, ctx: em.Context) -> Analysis:
    return parts.analyse


@report.agent()
async def judge(analysis: Analysis, ctx: em.Context) -> None:
    print(analysis.score)


@report.agent()
async def watch(firing: em.Firing, ctx: em.Context) -> Analysis:
    return Analysis(score=firing.fired_at_us)


inner = report.flow("inner")

report.input("request") >> collect >> [analyse, count] >> join >> judge
analyse >> judge
collect >> watch >> judge
collect >> inner >> judge
[analyse, inner] >> join
analyse.when("score > 1") >> join
report.create_edge([analyse, "count"], join, when="score > 1", loop=True)
summary = report.output("summary", join)

collect >> judge  # E: Unsupported operand types for >>
count >> [judge, inner]  # E: incompatible type
report.input("request") >> collect >> join  # E: Unsupported operand types for >>
collect >> 5  # E: No overload variant
report.create_edge(5, join)  # E: incompatible type
em.Retry(atempts=3)  # E: Unexpected keyword argument


@home.agent(when=summary)
async def warm(analysis: Analysis, ctx: em.Context) -> None:
    print(analysis)


@home.agent(when=summary)  # E: incompatible type
async def cold(facts: Facts, ctx: em.Context) -> None:
    print(facts)


@home.agent(nmae="x")  # E: Unexpected keyword argument
async def misspelt(facts: Facts, ctx: em.Context) -> None:
    print(facts)
