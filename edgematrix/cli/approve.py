"""`edgematrix approve`."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from typing import Annotated

import typer

from edgematrix.cli.console import complain, plain, say
from edgematrix.cli.display import json_text
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, ask, carry_out
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.waiting_question import WaitingQuestion, questions_in
from edgematrix.errors import BusError, UsageError
from edgematrix.protocol.codec import decode_value

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix approve                          # which questions wait
edgematrix approve home/report/editor       # asks in the terminal
edgematrix approve home/report yes          # the only question that waits there
edgematrix approve 01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10 no"""

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def command(
    words: Annotated[
        str | None, typer.Argument(metavar="PATH|RUN", help="Whose question is meant, or in which run. Without it all are listed.")
    ] = None,
    answer: Annotated[str | None, typer.Argument(metavar="ANSWER", help="One of the choices; without any, a text or JSON.")] = None,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the questions to people that wait, or answer one."""
    meant = "" if words is None else words if _RUN_ID.fullmatch(words) else read_path(words)
    target = find_target(url, root)
    found = _waiting(target, meant)
    if words is None:
        _show(found, as_json=as_json)
        return
    if not found:
        raise BusError(f"no question of {meant} waits", remedy="`edgematrix approve` lists those that do")
    question = found[0]
    if len(found) > 1:
        _show(found, as_json=as_json)
        raise UsageError(f"{len(found)} questions wait", remedy=f"say which, by its run: edgematrix approve {question.run} {answer or ''}")
    if answer is None:
        if not sys.stdin.isatty() or as_json:
            _show(found, as_json=as_json)
            example = shlex.quote(question.choices[0]) if question.choices else "ANSWER"
            raise UsageError("the question waits for an answer", remedy=f"edgematrix approve {question.agent} {example}")
        answer = _asked(question)
    value = answer if question.choices else decode_value(answer.encode())
    asked: dict[str, object] = {"run": question.run, "answer": value} if question.run else {"answer": value}
    if question.digest:
        asked["digest"] = question.digest
    order = Order("approve", question.agent, asked)
    carry_out(target, order, f"answered {question.agent}: {answer}", said=("agent", "run", "answer"), as_json=as_json)


def _waiting(target: Target, meant: str) -> list[WaitingQuestion]:
    """The questions that wait of what is meant.

    Raises:
        BusError: the hosts do not say.
    """
    path = "" if _RUN_ID.fullmatch(meant) else meant
    replies = asyncio.run(ask(target, Order("approve", path, {"list": True}, of_all=True)))
    for reply in replies:
        if reply.refusal is not None:
            raise reply.refusal
    return [question for question in questions_in(replies) if not meant or question.is_meant(meant)]


def _show(questions: list[WaitingQuestion], *, as_json: bool) -> None:
    if as_json:
        for question in questions:
            say(json_text(question.as_data()))
        return
    if not questions:
        say("no question waits")
    for question in questions:
        for line in question.lines():
            say(line)


def _asked(question: WaitingQuestion) -> str:
    """Ask in the terminal; a choice may be given by its number, unless a choice is called so."""
    agent, *text = question.lines()
    for line in (agent, *(text[:-1] if question.choices else text)):
        complain(line)
    for number, choice in enumerate(question.choices, 1):
        complain(f"  {number}  {plain(choice)}")
    given: str = typer.prompt("Answer", err=True, value_proc=lambda typed: _chosen(question.choices, typed))
    return given


def _chosen(choices: tuple[str, ...], typed: str) -> str:
    text = typed.strip()
    if not choices or text in choices:
        return text
    if text.isascii() and text.isdigit() and 0 < int(text) <= len(choices):
        return choices[int(text) - 1]
    raise typer.BadParameter(f"{text[:80]!r} is none of the choices")
