# /// script
# requires-python = ">=3.11"
# dependencies = ["edgematrix[onnx]", "numpy", "onnx", "onnxruntime", "river"]
# ///
"""Trains the model `room_fault`: whether the temperature sensor of a room is at fault.

The log comes with the package river (BSD-3-Clause): temperature, humidity, light and CO2 of an office, eight days in February 2015, a row
each 16 minutes (Candanedo and Feldheim, Energy and Buildings 112, 2016). It has no faults, so they are put in: a reading that sticks,
one that has jumped, one that is noisy, one that drops out to 0 or 85 °C now and then (as DS18B20 do). The first five days are
trained on, the last three held out, with faults of their own.

    python examples/models/room_fault.py
"""

from __future__ import annotations

import csv
from importlib import util
from pathlib import Path

import numpy as np
import onnx
from card import TARGET, accuracy, files
from network import features, train, write

from edgematrix.models.quantizing import quantize

NAME = "room_fault"
ROWS = 12
TRAINED_SHARE = 5 / 8
INPUTS = {"temperature": "°C", "humidity": "%", "light": "lx", "co2": "ppm"}
SEED = 1


def load() -> np.ndarray:
    """The log, (rows, inputs), oldest first."""
    package = util.find_spec("river")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the package river is not installed: pip install river")
    file = Path(package.submodule_search_locations[0], "drift", "datasets", "occupancy.csv")
    with file.open(encoding="utf-8") as text:
        return np.array([[float(row[f"V{number}"]) for number in range(1, 5)] for row in csv.DictReader(text)], np.float32)


def broken(window: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The window as a faulty temperature sensor would have told it."""
    found = window.copy()
    kind = random.integers(4)
    begin = random.integers(0, ROWS // 2)
    temperature = found[:, 0]
    if kind == 0:  # it sticks at a value of another hour
        temperature[:] = temperature[0] + random.normal(0, 3)
    elif kind == 1:
        temperature[begin + 1 :] += random.choice([-1, 1]) * random.uniform(3, 10)
    elif kind == 2:
        temperature += random.normal(0, random.uniform(0.8, 2.5), ROWS)
    else:
        temperature[random.choice(ROWS, random.integers(1, 4), replace=False)] = random.choice([0.0, 85.0])
    return found


def windows_of(log: np.ndarray, random: np.random.Generator, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Each window as it is, in slightly other rooms, and as often with a fault."""
    found, labels = [], []
    for begin in range(len(log) - ROWS + 1):
        for time in range(times):
            window = log[begin : begin + ROWS].copy()
            if time:
                window[:, 0] += random.normal(0, 1.5)
                window[:, 1] += random.normal(0, 4)
            found += [window, broken(window, random)]
            labels += [0, 1]
    return np.array(found, np.float32), np.array(labels)


def main() -> None:
    log, random = load(), np.random.default_rng(SEED)
    end = int(len(log) * TRAINED_SHARE)
    windows, labels = windows_of(log[:end], random, 8)
    held, held_labels = windows_of(log[end:], random, 1)
    network = train(features(windows), labels, (48, 24), seed=SEED, epochs=40)
    of_float, of_int8 = TARGET / f"{NAME}.onnx", TARGET / f"{NAME}.int8.onnx"
    onnx.save(write(network, ROWS, len(INPUTS), NAME), of_float)
    how = quantize(of_float, of_int8)
    right, found = accuracy(of_float, held, held_labels)
    right_int8, _ = accuracy(of_int8, held, held_labels)
    inputs = "\n".join(f'  - {{name: {name}, unit: "{unit}"}}' for name, unit in INPUTS.items())
    (TARGET / f"{NAME}.card.yaml").write_text(
        f"""\
model: {NAME}
about: Whether the temperature sensor of a room is at fault, by three hours of what it and its neighbours say.
licence: Apache-2.0; the log that it was trained on is BSD-3-Clause
source: examples/models/room_fault.py
data: >-
  Trained on five days of the room log in the package river 0.26.1 ({len(windows)} windows), measured on the three days after
  ({len(held)} windows). The log has no faults: half of the windows have one that was put in (stuck, jumped, noisy, dropping out).
  One office in one February: for another room, train it on that room's own log. int8 is {how}.
{files(NAME, right, right_int8)}
tensor: window
inputs:
{inputs}
window: {{count: {ROWS}, every: 16m, step: 1, fill: linear, gap: 48m}}
outputs:
  label: {{tensor: probabilities, classes: [ok, fault]}}
  score: {{of: fault}}
""",
        encoding="utf-8",
    )
    print(f"{NAME}: float {right:.3f}, int8 {right_int8:.3f} right of {len(held)} windows of days that were held out")
    print(f"  faults found {(found[held_labels == 1] == 1).mean():.2f}, false alarms {(found[held_labels == 0] == 1).mean():.2f}")
    print(f"  {of_float.stat().st_size} bytes as float, {of_int8.stat().st_size} as int8")


if __name__ == "__main__":
    main()
