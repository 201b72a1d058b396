"""What home.yaml leaves to Python: a formula."""

import math

from pydantic import BaseModel, Field

import edgematrix as em

_MAGNUS_B = 17.62
_MAGNUS_C = 243.12
_DRY_PERCENT = 35


class Air(BaseModel):
    """A reading of the air in a room. What is no such reading never reaches the function: it is a dead letter."""

    celsius: float
    percent: float = Field(gt=0, le=100)


class Comfort(BaseModel):
    """What people feel of it. `dew_point` is in degrees Celsius."""

    dew_point: float
    dry: bool


async def comfort(air: Air, _: em.Context) -> Comfort:
    """Judge a reading (dew point by the Magnus formula over water, with the constants of the WMO)."""
    gamma = math.log(air.percent / 100) + _MAGNUS_B * air.celsius / (_MAGNUS_C + air.celsius)
    return Comfort(dew_point=round(_MAGNUS_C * gamma / (_MAGNUS_B - gamma), 1), dry=air.percent < _DRY_PERCENT)
