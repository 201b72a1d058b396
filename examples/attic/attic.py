"""Two agents in typed Python: one judges each reading of the attic, one warns when the window is open too.

Run it with `python examples/attic/attic.py`, or as `edgematrix run examples/attic/attic.py`.
"""

from pydantic import BaseModel

import edgematrix as em


class Reading(BaseModel):
    celsius: float


class Verdict(BaseModel):
    anomalous: bool
    score: float


home = em.Matrix("home", broker="embedded")
attic = home.composite("attic")


@attic.agent(when=em.every_message("zigbee2mqtt/attic_climate", Reading, value={"celsius": "temperature"}))
async def judge(reading: Reading, ctx: em.Context) -> Verdict:
    score = abs(reading.celsius - 21.0) / 10.0
    return Verdict(anomalous=score > 0.9, score=score)


@attic.agent(
    when=em.all_of(
        judge.where("anomalous"),
        em.level("zigbee2mqtt/attic_window", "contact").equals(True),
        within="30s",
    )
)
async def warn(firing: em.Firing, ctx: em.Context) -> None:
    await ctx.publish("notify/phone", {"text": "attic", "score": firing[judge].score})


if __name__ == "__main__":
    home.run()
