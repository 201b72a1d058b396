"""Wrong edges, each with what mypy must say about it: the test fails if mypy is content with one of these lines."""

from pydantic import BaseModel

import edgematrix as em


class Reading(BaseModel):
    celsius: float


class Verdict(BaseModel):
    score: float


home = em.Matrix("home")
source = em.every_message("t/x", Reading)


@home.agent(when=source)
async def judge(reading: Reading, ctx: em.Context) -> Verdict:
    return Verdict(score=reading.celsius)


@home.agent(when=source)  # E: incompatible type
async def takes_another_type(reading: Verdict, ctx: em.Context) -> Verdict:
    return reading


@home.agent(when=em.all_of(judge))  # E: incompatible type
async def takes_the_value_of_a_group(verdict: Verdict, ctx: em.Context) -> None:
    print(verdict)


@home.agent(when=em.all_of(judge, source))
async def reads_what_is_not_there(firing: em.Firing, ctx: em.Context) -> None:
    print(firing[judge].celsius)  # E: "Verdict" has no attribute "celsius"
    print(firing.get(judge).score)  # E: Item "None" of "Verdict | None" has no attribute "score"
    print(firing[source] + 1)  # E: Unsupported operand types for +


@home.agent(when=em.level("t/y").above(3))
def plain(celsius: float, ctx: em.Context) -> Verdict:
    return Verdict(score=celsius)


@home.agent(when=em.ref("critic", Verdict))  # E: incompatible type
async def reads_a_later_agent(reading: Reading, ctx: em.Context) -> None:
    print(reading)


em.all_of("judge")  # E: incompatible type
em.all_of(judge, whithin="30s")  # E: Unexpected keyword argument
