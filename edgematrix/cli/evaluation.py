"""`edgematrix models eval`: how often an intent agent does what it is told, and nothing else."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgematrix.cli.console import complain, plain, say, shorten, style
from edgematrix.cli.display import json_text
from edgematrix.cli.options import JsonOption
from edgematrix.errors import UsageError

if TYPE_CHECKING:  # what opens a matrix is loaded when the arguments are known to be right
    from edgematrix.config.named_models import NamedModel
    from edgematrix.testing.sentence_eval import Heard
    from edgematrix.testing.sentence_score import Row, Score
    from edgematrix.testing.sentence_set import Sentence

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix models eval                                       # the sentences and the house that are shipped
edgematrix models eval mine.jsonl --matrix home.yaml --agent home/helper
edgematrix models eval mine.jsonl --matrix home.yaml --missed   # each sentence that was not right"""

_SHOWN_MAX = 200
"""Sentences that are listed one by one."""
_TEXT_SHOWN_MAX = 100
_LONG_MS = 1_000
_SCRIPTED = 64
"""How often, for each sentence, a model that is left out may be asked: tools and repetitions included."""


def command(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Sentences with what they ask for, one JSON object a line.")] = None,
    matrix: Annotated[Path | None, typer.Option("--matrix", metavar="MATRIX", help="Whose agent hears them.")] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="PATH", help="Who hears them: a path, or path.port. Default: who has `sentences:`."),
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Where to say them, if not on the agent's input.")] = None,
    part: Annotated[str | None, typer.Option("--part", metavar="heldout|tune|all", help="Default: heldout; of your own file all.")] = None,
    servers: Annotated[bool, typer.Option("--servers", help="Ask the servers that agents name, too.")] = False,
    missed: Annotated[bool, typer.Option("--missed", help="List each sentence that was not right, and not only wrong actions.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say sentences to an agent in virtual time, and compare what its devices are told with what was wanted.

    The models are the real ones. What is not installed is named, and left out; so are servers without --servers.
    """
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - arguments are checked first
    from edgematrix.config.launch import secrets_beside  # noqa: PLC0415
    from edgematrix.config.named_models import named_models  # noqa: PLC0415
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415
    from edgematrix.testing.sentence_eval import evaluate  # noqa: PLC0415
    from edgematrix.testing.sentence_hearer import find_hearer  # noqa: PLC0415
    from edgematrix.testing.sentence_score import score  # noqa: PLC0415
    from edgematrix.testing.sentence_set import Receivers, read_sentences  # noqa: PLC0415

    wanted = _part(part, file)
    opened = open_matrix(_matrix(matrix, file))
    tree = AgentTree.of(opened.spec)
    hearer = find_hearer(tree, opened.spec.root, agent, topic)
    receivers = Receivers(tree, opened.spec.root)
    known = read_sentences(file or _shipped("sentences.jsonl"), receivers)
    sentences = [one for one in known if wanted in ("all", one.part)]
    if not sentences:
        raise UsageError(f"none of the {len(known)} sentences says `part: {wanted}`", where=str(file), remedy="--part all")
    absent = [model for model in named_models(tree, opened.loader.folder) if model.trouble or (model.runtime == "openai" and not servers)]
    scripts = {model.agent: _silence(model, len(sentences)) for model in absent}
    if not as_json:
        which = "" if wanted == "all" else f", part {wanted}"
        say(f"{hearer.node.path} hears {len(sentences)} of {len(known)} sentences{which}, on {hearer.topic}")
    for model in absent:
        _show_absent(model)
    keys = partial(secrets_beside, opened.loader.folder) if servers else None
    heard, others = evaluate(opened, hearer, sentences, receivers, scripts, _progress(len(sentences), as_json), servers=keys)
    found = score(heard)
    if as_json:
        _write_json(heard, found, absent, others)
    else:
        _show(heard, found, others, missed)


def _part(part: str | None, file: Path | None) -> str:
    if part is None:
        return "heldout" if file is None else "all"
    if part not in ("heldout", "tune", "all"):
        raise UsageError(f"expected --part heldout, tune or all, found {part[:40]!r}")
    return part


def _matrix(matrix: Path | None, file: Path | None) -> Path:
    if matrix is None and file is not None:
        raise UsageError("whose agent is to hear these sentences?", remedy="--matrix FILE")
    return matrix or _shipped("house.yaml")


def _shipped(name: str) -> Path:
    from edgematrix.config.model_card import SHIPPED  # noqa: PLC0415

    return SHIPPED / "house" / name


def _silence(model: NamedModel, sentences: int) -> list[dict[str, Any]]:
    """What is answered in the place of a model that is not asked; a voice hears nothing."""
    if model.runtime == "voice":
        return []
    return [{"error": f"{model.model}: {model.trouble or 'a server is not asked here'}"}] * (_SCRIPTED * sentences)


def _show_absent(model: NamedModel) -> None:
    why = model.trouble or f"{model.model} is a server: --servers asks it"
    complain(f"{style('!', fg='yellow', bold=True)} left out: {model.agent}: {plain(why)}")
    if model.remedy:
        complain(f"  → {model.remedy}")


def _progress(count: int, as_json: bool) -> Any:
    if as_json or not sys.stderr.isatty():
        return lambda number: None  # noqa: ARG005

    def told(number: int) -> None:
        end = "\r" if number < count else f"\r{' ' * 20}\r"
        sys.stderr.write(f"{number} of {count}{end}")
        sys.stderr.flush()

    return told


# What is shown


def _show(heard: list[Heard], found: Score, others: int, missed: bool) -> None:
    say()
    say(f"{'':16}{'said':>6}{'right':>7}{'wrong action':>14}{'asked back':>12}{'nothing':>9}")
    for row in found.kinds:
        say(f"{row.name:16}{row.count:>6}{row.right:>7}{_wrong(row, 14)}{row.asked:>12}{row.nothing:>9}")
    say()
    say(f"{'decided by':16}{'said':>6}{'right':>7}{'wrong action':>14}{'half within':>14}{'95 % within':>14}{'processor':>12}")
    for row in (*found.stages, found.total):
        times = f"{_span(row.median_ms):>14}{_span(row.slow_ms):>14}{f'{row.processor_s:.2f} s':>12}"
        say(f"{shorten(plain(row.name), 16):16}{row.count:>6}{row.right:>7}{_wrong(row, 14)}{times}")
    _list("wrong actions", list(found.wrong))
    if missed:
        _list("missed", [one for one in heard if one.verdict in ("asked", "nothing")])
    say()
    if others:
        say(f"{others} commands were not led to by a sentence: clocks, rules")
    if found.total.failed:
        say(f"{found.total.failed} runs failed")
    if found.plain.count:
        say(f"plain, paraphrase, several: {found.plain.right} of {found.plain.count} right, {_share(found.plain)}")
    if found.idle.count:
        say(f"all others: {found.idle.right} of {found.idle.count} refused or asked back, {_share(found.idle)}")


def _wrong(row: Row, width: int) -> str:
    text = f"{row.wrong:>{width}}"
    return style(text, fg="red", bold=True) if row.wrong else text


def _span(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < _LONG_MS else f"{ms / 1_000:.1f} s"


def _share(row: Row) -> str:
    return f"{100 * row.right / row.count:.1f} %"


def _list(head: str, heard: list[Heard]) -> None:
    if not heard:
        return
    say()
    say(style(f"{head}:", bold=True))
    for one in heard[:_SHOWN_MAX]:
        sentence = one.sentence
        say(f"  {style(f'“{plain(sentence.say)}”', fg='red' if one.did else 'yellow')} ({sentence.kind}, line {sentence.line})")
        for text in _told(one):
            say(f"    {text}")
    if len(heard) > _SHOWN_MAX:
        say(f"  … and {len(heard) - _SHOWN_MAX} more")


def _told(one: Heard) -> list[str]:
    """What came of a sentence, beside what was wanted."""
    told = [f"did     {plain(str(did.command))}{' (waits for a person)' if did.waits else ''}" for did in one.did]
    told += [f"refused {plain(shorten(why, _TEXT_SHOWN_MAX))}" for why in one.refused]
    if one.failed:
        told.append(f"failed  {plain(shorten(one.failed, _TEXT_SHOWN_MAX))}")
    if one.reason:
        told.append(f"reason  {plain(shorten(one.reason, _TEXT_SHOWN_MAX))}")
    if one.answer:
        told.append(f"said    {plain(shorten(one.answer, _TEXT_SHOWN_MAX))}")
    told += [f"wanted  {plain(str(command))}" for command in one.sentence.wants[0]] or ["wanted  nothing"]
    return told


def _write_json(heard: list[Heard], found: Score, absent: list[NamedModel], others: int) -> None:
    for one in heard:
        say(json_text(_plain(one)))
    told: dict[str, object] = {"kinds": [_row(row) for row in found.kinds], "stages": [_row(row) for row in found.stages]}
    told |= {"plain": _row(found.plain), "idle": _row(found.idle), "total": _row(found.total)}
    left_out = [{"agent": model.agent, "runtime": model.runtime, "model": model.model, "why": model.trouble} for model in absent]
    say(json_text({"summary": told, "left_out": left_out, "others": others}))


def _row(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _plain(one: Heard) -> dict[str, Any]:
    sentence: Sentence = one.sentence
    return {
        "say": sentence.say,
        "kind": sentence.kind,
        "part": sentence.part,
        "verdict": one.verdict,
        "stage": one.stage,
        "confidence": one.confidence,
        "did": [_command(did.command) | ({"waits": True} if did.waits else {}) for did in one.did],
        "want": [_command(command) for command in sentence.wants[0]],
        "refused": one.refused,
        "answer": one.answer,
        "failed": one.failed,
        "reason": one.reason,
        "took_ms": round(one.took_s * 1_000, 3),
        "processor_s": round(one.processor_s, 4),
    }


def _command(command: Any) -> dict[str, Any]:
    return {"to": f"{command.path}.{command.port}", "payload": command.payload}
