"""`edgematrix models`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say, style
from edgematrix.cli.display import json_text
from edgematrix.cli.evaluation import EXAMPLE as EVALUATION_EXAMPLE
from edgematrix.cli.evaluation import command as evaluate
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.options import JsonOption
from edgematrix.config.model_card import FOLDER, SHIPPED, ModelCard, find_card, known_cards, read_card
from edgematrix.errors import ConfigError, ModelError, UsageError
from edgematrix.models.card import Precision
from edgematrix.testing.labelled_windows import Labelled

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix models list                         # what agents with `onnx:` may name
edgematrix models add room_fault               # a copy of one that is shipped, to pin it
edgematrix models bench activity --data held_out.csv
edgematrix models quantize activity            # makes an int8 file, and says what it costs
edgematrix models eval mine.jsonl --matrix home.yaml     # how often sentences do what they ask for"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_InOption = Annotated[Path, typer.Option("--in", metavar="FOLDER", help="Where the matrix stands; its models are in `models/` there.")]
_DataOption = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="Windows with their labels, *.csv or *.npz.")]
_Model = Annotated[str, typer.Argument(metavar="MODEL", help="The name of a model, or the path of its card.")]


@SUBCOMMANDS.command(
    "list", cls=CommandWithExample, epilog="edgematrix models list\nedgematrix models list --in my-home --json | jq -r .model"
)
def show_list(folder: _InOption = Path(), as_json: JsonOption = False) -> None:
    """List the models that agents may name: those beside the matrix, and those that are shipped."""
    wrong = False
    for name, place in known_cards(folder).items():
        try:
            card = read_card(place)
        except ConfigError as problem:
            wrong = True
            complain(style(str(problem), fg="red"))
            continue
        if as_json:
            say(json_text(_plain(card)))
        else:
            say(f"{style(name, bold=True)}  {card.spec.about}")
            for line in _told(card):
                say(f"  {line}")
    if wrong:
        raise typer.Exit(1)


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Bring a model to the matrix.",
    epilog="edgematrix models add room_fault\nedgematrix models add ../trained/mine.onnx      # its card mine.card.yaml stands beside it",
)
def add(
    model: Annotated[str, typer.Argument(metavar="FILE|NAME", help="An ONNX file with its card beside it, or a model that is shipped.")],
    folder: _InOption = Path(),
    force: Annotated[bool, typer.Option("--force", help="Take the place of a model of that name.")] = False,
) -> None:
    """Copy a model with its card into `models/` beside the matrix, once it is seen to be what its card says."""
    is_path = "/" in model or Path(model).suffix in (".onnx", ".yaml")
    card = find_card(model, Path()) if is_path else _shipped(model)
    files = [card.file(precision) for precision in card.precisions]
    for precision in card.precisions:
        _try_out(card, precision)
    target = folder / FOLDER
    taken = [name for name in (card.place.name, *(file.name for file in files)) if (target / name).exists()]
    if taken and not force:
        raise UsageError(f"{target / taken[0]} is there already", remedy="--force takes its place")
    target.mkdir(parents=True, exist_ok=True)
    for file in (*files, card.place):
        if file.resolve() != (target / file.name).resolve():
            shutil.copyfile(file, target / file.name)
    say(style(f"✓ {card.spec.model} is in {target}: onnx: {{model: {card.place.name.removesuffix('.card.yaml')}, …}}", fg="green"))


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Measure a model: time, memory, accuracy.",
    epilog="edgematrix models bench activity\nedgematrix models bench activity --data held_out.csv --json",
)
def bench(model: _Model, data: _DataOption = None, folder: _InOption = Path(), as_json: JsonOption = False) -> None:
    """Measure a model in its own process, as a host runs it: time for a window, memory, and with data how many labels are right.

    Each precision that is there is measured, float against int8.
    """
    from edgematrix.testing.labelled_windows import read_labelled  # noqa: PLC0415 - only who measures needs it

    card = find_card(model, folder)
    windows = read_labelled(data, card) if data is not None else []
    if data is not None and not windows:
        raise UsageError(f"no window of {card.window_told} is in this file", where=str(data))
    _measure(card, windows, as_json=as_json)


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Make an int8 model of a float one.",
    epilog="edgematrix models quantize mine\nedgematrix models quantize mine --data held_out.csv\n"
    "edgematrix models quantize mine --data held_out.csv --calibrate train.csv",
)
def quantize(
    model: _Model,
    data: _DataOption = None,
    calibrate: Annotated[
        Path | None,
        typer.Option("--calibrate", metavar="FILE", help="Windows that the ranges of values are taken from; convolutions need it."),
    ] = None,
    folder: _InOption = Path(),
) -> None:
    """Make an int8 file of a model in `models/`, write it into the card, and say what it costs: size, time, and with data accuracy."""
    from edgematrix.cli.model_quantizing import quantized  # noqa: PLC0415 - only who measures needs it
    from edgematrix.testing.labelled_windows import read_labelled  # noqa: PLC0415

    card = find_card(model, folder)
    if card.place.parent == SHIPPED:
        raise UsageError(f"{card.spec.model} is shipped, and stays as it is", remedy=f"edgematrix models add {card.spec.model}")
    windows = read_labelled(data, card) if data is not None else []
    ranges = read_labelled(calibrate, card) if calibrate is not None else []
    made, how = quantized(card, windows, ranges)
    say(f"made int8 ({how}): {made.file('int8')}")
    _measure(made, windows, as_json=False)


SUBCOMMANDS.command(
    "eval", cls=CommandWithExample, short_help="Say sentences to an agent, and compare what it does.", epilog=EVALUATION_EXAMPLE
)(evaluate)


def _measure(card: ModelCard, windows: list[Labelled], *, as_json: bool) -> None:
    from edgematrix.testing.model_bench import bench as measured  # noqa: PLC0415

    found = [measured(card, precision, windows) for precision in card.precisions]
    if as_json:
        for one in found:
            told = {"model": card.spec.model, **{name: getattr(one, name) for name in one.__struct_fields__ if name != "labels"}}
            say(json_text(told))
        return
    say(f"{'':8}{'accuracy':>10}{'µs best':>10}{'µs median':>11}{'µs 99 %':>10}{'RSS MB':>9}{'bytes':>10}")
    for one in found:
        right = "-" if one.accuracy is None else f"{one.accuracy:.3f}"
        rss = "-" if one.rss_mb is None else f"{one.rss_mb:.1f}"
        say(f"{one.precision:8}{right:>10}{one.best_us:>10.0f}{one.median_us:>11.0f}{one.slow_us:>10.0f}{rss:>9}{one.file_bytes:>10}")
    if len(found) > 1 and windows:
        same = sum(one == other for one, other in zip(found[0].labels, found[1].labels, strict=True))
        say(f"of {len(windows)} windows, {same} have the same label as float and as int8")


def _try_out(card: ModelCard, precision: Precision) -> None:
    """Let a model score a window of zeros: it is held against its card then."""
    from edgematrix.models.onnx_model import OnnxModel, need_onnxruntime  # noqa: PLC0415

    need_onnxruntime(card.spec.model)
    signature = card.signature()
    tried = OnnxModel(card.spec.model, card.file(precision), signature)
    try:
        tried.score(bytes(4 * signature.rows * signature.columns), 30)
    except ModelError as problem:
        if "cannot be loaded" in problem.what or "did not" in problem.what:
            raise
    finally:
        tried.close()


def _shipped(name: str) -> ModelCard:
    place = SHIPPED / f"{name}.card.yaml"
    if not place.is_file():
        known = ", ".join(sorted(file.name.removesuffix(".card.yaml") for file in SHIPPED.glob("*.card.yaml")))
        raise UsageError(f"no model {name!r} is shipped", remedy=f"there are {known}; or the path of an ONNX file")
    return read_card(place)


def _told(card: ModelCard) -> list[str]:
    spec = card.spec
    inputs = ", ".join(f"{given.name}{f' {given.unit}' if given.unit else ''}" for given in spec.inputs)
    label = spec.outputs.label
    outputs = [f"label ({', '.join(label.classes[:12])})" if name == "label" and label is not None else name for name in spec.outputs.ports]
    files = []
    for precision in card.precisions:
        file = spec.files.of(precision)
        right = f", {file.accuracy:.3f} right" if file is not None and file.accuracy is not None else ""
        files.append(f"{precision}{right}")
    return [f"from {inputs}; {card.window_told}", f"gives {', '.join(outputs)}", f"{'; '.join(files)}; {spec.licence}", str(card.place)]


def _plain(card: ModelCard) -> dict[str, object]:
    spec = card.spec
    return {
        "model": spec.model,
        "about": spec.about,
        "licence": spec.licence,
        "card": str(card.place),
        "inputs": {given.name: given.unit for given in spec.inputs},
        "outputs": list(spec.outputs.ports),
        "window": card.window_told,
        "accuracy": {precision: file.accuracy for precision in card.precisions if (file := spec.files.of(precision)) is not None},
    }
