# /// script
# requires-python = ">=3.11"
# dependencies = ["edgematrix[onnx]", "numpy", "onnx", "onnxruntime", "seglearn"]
# ///
"""Trains the model `activity`: which exercise somebody does who wears a watch.

The recordings come with the package seglearn (BSD-3-Clause): 10 people, 140 recordings of seven shoulder exercises, acceleration and
rotation at 50 Hz. People 1 to 7 are trained on, 8 to 10 held out. Run it in an environment with what stands above:

    python examples/models/activity.py
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import onnx
from card import TARGET, accuracy, files
from network import features, train, write

from edgematrix.models.quantizing import quantize

NAME = "activity"
ROWS, STEP = 200, 50
CLASSES = ["pendulum", "abduction", "forward_elevation", "internal_rotation", "external_rotation", "trapezius", "row"]
INPUTS = ["ax", "ay", "az", "wx", "wy", "wz"]
HELD_OUT = (8, 9, 10)
SEED = 1


def load() -> dict[str, np.ndarray]:
    """The recordings. The package is not imported: it would need pandas."""
    package = util.find_spec("seglearn")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the package seglearn is not installed: pip install seglearn")
    return np.load(Path(package.submodule_search_locations[0], "data", "watch_dataset.npy"), allow_pickle=True).item()


def cut(data: dict[str, np.ndarray], people: set[int], step: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of these people, with their labels."""
    windows, labels = [], []
    for recording, label, person in zip(data["X"], data["y"], data["subject"], strict=True):
        if int(person) in people:
            for begin in range(0, len(recording) - ROWS + 1, step):
                windows.append(recording[begin : begin + ROWS])
                labels.append(int(label))
    return np.array(windows, np.float32), np.array(labels)


def turned(windows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As if the watch sat a little differently, and the exercise were done faster or slower."""
    found = windows.copy()
    for place, angles in enumerate(random.normal(0, np.radians(15), (len(windows), 3))):
        (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        matrix = (about_x @ about_y @ about_z).T
        found[place, :, :3] = windows[place, :, :3] @ matrix
        found[place, :, 3:] = windows[place, :, 3:] @ matrix * np.exp(random.normal(0, 0.15))
    return found.astype(np.float32)


def main() -> None:
    data = load()
    everybody = {int(person) for person in np.unique(data["subject"])}
    windows, labels = cut(data, everybody - set(HELD_OUT), 25)
    held, held_labels = cut(data, set(HELD_OUT), ROWS)
    random = np.random.default_rng(SEED)
    seen = np.concatenate([windows, *(turned(windows, random) for _ in range(4))])
    network = train(features(seen), np.tile(labels, 5), (64, 32), seed=SEED, epochs=40)
    of_float, of_int8 = TARGET / f"{NAME}.onnx", TARGET / f"{NAME}.int8.onnx"
    onnx.save(write(network, ROWS, len(INPUTS), NAME), of_float)
    how = quantize(of_float, of_int8)
    right, found = accuracy(of_float, held, held_labels)
    right_int8, _ = accuracy(of_int8, held, held_labels)
    inputs = "\n".join(f"  - {{name: {name}, unit: {'g' if name[0] == 'a' else 'rad/s'}}}" for name in INPUTS)
    (TARGET / f"{NAME}.card.yaml").write_text(
        f"""\
model: {NAME}
about: Which of seven shoulder exercises somebody does who wears a watch on the arm that moves.
licence: Apache-2.0; the recordings that it was trained on are BSD-3-Clause
source: examples/models/activity.py
data: >-
  Trained on people 1 to 7 of the recordings in the package seglearn 1.2.5 ({len(windows)} windows), measured on people 8 to 10
  ({len(held)} windows that do not overlap). int8 is {how}. It knows nothing but these exercises: it takes whatever else
  somebody does for one of them. The watch sits as in the recordings: at the wrist, its x axis along the arm.
{files(NAME, right, right_int8)}
tensor: window
inputs:
{inputs}
window: {{time: 4s, every: 20ms, step: 1s, fill: linear, gap: 100ms}}
outputs:
  label: {{tensor: probabilities, classes: [{", ".join(CLASSES)}]}}
  score: {{}}
  embedding: {{tensor: embedding}}
""",
        encoding="utf-8",
    )
    print(f"{NAME}: float {right:.3f}, int8 {right_int8:.3f} right of {len(held)} windows of {len(HELD_OUT)} people who were held out")
    for place, name in enumerate(CLASSES):
        print(f"  {name:20} {(found[held_labels == place] == place).mean():.2f}")
    print(f"  {of_float.stat().st_size} bytes as float, {of_int8.stat().st_size} as int8")


if __name__ == "__main__":
    main()
