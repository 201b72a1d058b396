"""A question to a person that waits, as a host tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from edgematrix.cli.console import plain, style
from edgematrix.cli.display import clock_time
from edgematrix.cli.order import Reply
from edgematrix.protocol.moment import parse_moment
from edgematrix.protocol.path import is_below

__all__ = ["WaitingQuestion", "questions_in"]


@dataclass(frozen=True, slots=True)
class WaitingQuestion:
    """Which agent asks, in which run, what, and until when (RFC 3339). Without choices any answer will do.

    `action` is the command that waits for the answer, where it is one.
    """

    agent: str
    run: str
    text: str
    choices: tuple[str, ...]
    until: str
    action: Mapping[str, object] | None = None

    @property
    def digest(self) -> str:
        """What names the action; empty where there is none."""
        return "" if self.action is None else str(self.action.get("digest") or "")

    def is_meant(self, words: str) -> bool:
        """Whether these are its run, its agent, or what the agent is in."""
        return words in (self.run, self.agent) or is_below(self.agent, words)

    def lines(self) -> Iterator[str]:
        """For people. The text is whole: what is cut would be approved unseen."""
        until = self.until
        with suppress(ValueError, OverflowError, OSError):
            until = clock_time(parse_moment(self.until)).partition(".")[0]
        until = f", until {plain(until)}" if until else ""
        yield f"{style(plain(self.agent), bold=True)}{style(f'  (run {plain(self.run)}{until})', dim=True)}"
        for line in self.text.splitlines():
            yield f"  {plain(line)}"
        if self.choices:
            yield f"  {style('→', dim=True)} {', '.join(map(plain, self.choices))}"

    def as_data(self) -> dict[str, object]:
        """For programs."""
        about: dict[str, object] = {
            "agent": self.agent,
            "run": self.run,
            "question": self.text,
            "choices": list(self.choices),
            "until": self.until,
        }
        return about if self.action is None else {**about, "action": dict(self.action)}


def questions_in(replies: Iterable[Reply]) -> list[WaitingQuestion]:
    """What the hosts tell, each question once, those first that wait no longer than others. What is no question is none."""
    found: dict[tuple[str, str], WaitingQuestion] = {}
    for reply in replies:
        told = reply.data.get("questions")
        for about in told if isinstance(told, list) else ():
            if isinstance(about, dict) and about.get("agent"):
                question = _read(about)
                found[question.agent, question.run] = question
    return sorted(found.values(), key=lambda question: (question.until, question.agent, question.run))


def _read(about: dict[str, object]) -> WaitingQuestion:
    choices, action = about.get("choices"), about.get("action")
    return WaitingQuestion(
        str(about["agent"]),
        str(about.get("run") or ""),
        str(about.get("question") or ""),
        tuple(map(str, choices)) if isinstance(choices, list) else (),
        str(about.get("until") or ""),
        action if isinstance(action, dict) else None,
    )
