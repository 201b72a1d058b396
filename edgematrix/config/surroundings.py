"""What a matrix finds where it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from edgematrix.composition.spec import SpeakerModel
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.ports import Clock

if TYPE_CHECKING:
    from edgematrix.composition.llm_plan import LlmPlan
    from edgematrix.composition.sentences_plan import SentencesPlan
    from edgematrix.identity.secrets import Source
    from edgematrix.runtime.call_budget import CallBudget
    from edgematrix.runtime.ensemble import Chooser, Thinker
    from edgematrix.runtime.scorer import ModelWanted, Scorer
    from edgematrix.runtime.voice_desk import Voices
    from edgematrix.runtime.workshop import Workshop

__all__ = ["Surroundings"]


def _stand_ins() -> Source:
    """What a simulation has in place of secrets."""
    from edgematrix.identity.secrets import StandIns  # noqa: PLC0415 - few matrices name any

    return StandIns()


class Surroundings(msgspec.Struct, frozen=True):
    """What a matrix finds where it is built.

    `new_id` makes an id from a moment; `workshop` makes the place where agents' code runs, when the first agent has any;
    `echo` says that foreign publications are heard at once, as in a simulation. `chooser` makes the model of a chat whose speaker
    a model picks, `thinker` that of an agent that is one.
    """

    clock: Clock
    new_id: Callable[[int], str]
    workshop: Callable[[Limits, Callable[[str, int], None]], Workshop]
    loader: CodeLoader = msgspec.field(default_factory=CodeLoader)
    echo: bool = False
    chooser: Callable[[SpeakerModel, Workshop], Chooser] | None = None
    scorer: Callable[[ModelWanted, str, Workshop], Scorer] | None = None
    """Makes what asks the model of an agent with `onnx:`."""
    voices: Voices | None = None
    """Makes what listens for an agent with `voice:`."""
    thinker: Callable[[str, LlmPlan | SentencesPlan, Workshop, Callable[[str], None], CallBudget | None], Thinker] | None = None
    places: Places = EVERYTHING_HERE
    """Which host runs which agent, at the start."""
    secrets: Callable[[], Source] = _stand_ins
    """Where agents' secrets come from; asked when the first agent names one."""
