"""Fit how sure the stage `near` may be: `python examples/models/near_confidence.py`, for encoders with the path of one, `ENCODER.onnx`.

A logistic over what speaks for a match (`edgematrix.agents.near_confidence.Evidence`), fitted on the sentences of the shipped set whose
`part` is `tune`, with the shipped house: is what the nearest known sentence asks for what was wanted, all of it? Of plain ones those
of one clause alone are taken, for others may tell why besides. The coefficients are kept near to a guess (a Gaussian prior), since the
sentences are few, and none is far below it. The result is written to `near.json` in `edgematrix/models/shipped`, or, for encoders, to
`near_encoder.json`. The held-out part is not read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import numpy as np

from edgematrix.agents.clauses import clauses_of
from edgematrix.agents.near import NearSentences
from edgematrix.agents.near_confidence import Evidence
from edgematrix.agents.near_match import Found
from edgematrix.agents.sentences import Command, Sentences
from edgematrix.agents.spoken_words import is_plain_speech
from edgematrix.config.composing import near_of
from edgematrix.config.opening import open_matrix
from edgematrix.models.near_model import KnownSentences, NearModel, find_near
from edgematrix.runtime.near_thinker import kin_of

SHIPPED = Path(__file__).parents[2] / "edgematrix" / "models" / "shipped"
PRIOR = {"score": 4.0, "share": 6.0, "found": 4.0, "margin": 8.0, "weakest": 4.0, "lacking": 3.0, "constant": -17.0, "whole": 0.0}
ENCODER_PRIOR = PRIOR | {"whole": 6.0, "constant": -23.0}
"""What an encoder tells besides, how alike a sentence is to a known one as a whole, is wanted besides."""
STRENGTH = 0.05
"""Of the prior: a coefficient that is one away from the guess costs half of this, in nats."""
LEAST, ENCODER_LEAST = 0.4, 0.9
"""Of a coefficient, as a share of the guess: what no sentence here shows counts all the same. To an encoder much is alike as a whole that
names one thing more, or another: there the words have to count as they do without it.
"""
ROUNDS = 20_000
STEP = 0.05


def main(encoder: str = "") -> None:
    """Fit, and say how well it fits."""
    prior_of, least_share = (ENCODER_PRIOR, ENCODER_LEAST) if encoder else (PRIOR, LEAST)
    spec = open_matrix(SHIPPED / "house" / "house.yaml").spec.agents["ears"].sentences
    if spec is None or spec.near is None:
        raise SystemExit("the shipped house has no stage `near`")
    near = near_of(Sentences.compile(spec, "house/ears"), spec.near)
    name = encoder or "wordllama"
    model = NearModel(name, find_near(name, Path()))
    try:
        rows, right = evidence(near, model)
    finally:
        model.close()
    names = [name for name in Evidence.__struct_fields__ if prior_of[name]]
    rows = rows[:, [Evidence.__struct_fields__.index(name) for name in names]]
    names.append("constant")
    prior = np.array([prior_of[name] for name in names])
    weights = prior.copy()
    inputs = np.column_stack([rows, np.ones(len(rows))])
    for _ in range(ROUNDS):
        guess = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        weights -= STEP * (inputs.T @ (guess - right) / len(right) + STRENGTH * (weights - prior) / len(right))
        weights[:-1] = np.maximum(weights[:-1], least_share * prior[:-1])
    guess = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
    loss = -np.mean(right * np.log(guess) + (1 - right) * np.log(1 - guess))
    print(f"{len(right)} matches, {int(right.sum())} of them right; {loss:.3f} nats each")
    for least in (0.3, 0.5, 0.6, 0.7, 0.9):
        sure = guess >= least
        print(f"  {int(sure.sum())} surer than {least}, {int(right[sure].sum())} of them right")
    found = {name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)}
    (SHIPPED / ("near_encoder.json" if encoder else "near.json")).write_text(json.dumps(found) + "\n")
    print(json.dumps(found))


def evidence(near: NearSentences, model: NearModel) -> tuple[np.ndarray, np.ndarray]:
    """What speaks for the nearest match of each sentence, and whether it is right."""
    known = KnownSentences(near.key, near.exemplars, near.groups, kin_of(near))
    rows, right = [], []
    for line in (SHIPPED / "house" / "sentences.jsonl").read_text().splitlines():
        given = json.loads(line)
        text = given["say"]
        is_one = len(clauses_of(text)) == 1 or given["kind"] not in ("plain", "paraphrase")
        if given["part"] != "tune" or not is_one or not is_plain_speech(text):
            continue
        said = near.spoken(text)
        if not said.words or said.barred or said.is_question:
            continue  # no match of these is carried out, however near it is
        (matches,) = model.nearest(known, [" ".join(said.words)], 24, 60.0)
        found = near.matching.nearest(said.words, said.amounts, msgspec.convert(msgspec.to_builtins(matches), list[Found]))
        if isinstance(found, str) or found.doubt:
            continue
        command = found.command
        told = [{"to": f"{path}.{port}".removeprefix("house/"), "payload": payload} for path, port, payload in sent(command)]
        rows.append(list(msgspec.structs.astuple(found.evidence)))
        right.append(any(same(told, wanted) for wanted in (given["want"], *given.get("also", []))))
    return np.array(rows), np.array(right, dtype=float)


def sent(command: Command) -> list[tuple[object, str, object]]:
    """All that a command sends."""
    return [(command.path, command.port, command.payload), *((more.path, more.port, more.payload) for more in command.besides)]


def same(one: list, other: list) -> bool:
    """Whether two lists of commands are the same, in any order."""
    return sorted(json.dumps(each, sort_keys=True) for each in one) == sorted(json.dumps(each, sort_keys=True) for each in other)


if __name__ == "__main__":
    main(*sys.argv[1:])
