"""Whether the foreign topics on which people are asked, and answer, can be used."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.agents.topic import check_foreign
from edgematrix.config.finding import Finding, error
from edgematrix.config.yaml_position import Key
from edgematrix.errors import TopicError
from edgematrix.protocol.filter import TopicFilter

__all__ = ["check_people"]


def check_people(notify: str | None, answers: str | None, root: str, where: tuple[Key, ...]) -> Iterator[Finding]:
    """What is wrong with a topic for questions, and one for answers; `where` is what holds both keys."""
    for key, topic in (("notify", notify), ("answers", answers)):
        try:
            if topic is not None and key == "notify":
                check_foreign(topic, root)
            elif topic is not None:
                TopicFilter.parse(topic)
        except TopicError as problem:
            yield error((*where, key), problem.what, problem.remedy)
