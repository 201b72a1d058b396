"""Makes wrist.jsonl, a recording of three exercises, and held_out.csv, of all seven, both of people whom the model has not seen.

pip install seglearn numpy && python examples/activity/make_data.py
"""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
CLASSES = ["pendulum", "abduction", "forward_elevation", "internal_rotation", "external_rotation", "trapezius", "row"]
INPUTS = ["ax", "ay", "az", "wx", "wy", "wz"]
EVERY_S = 0.02


def main() -> None:
    package = util.find_spec("seglearn")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the package seglearn is not installed: pip install seglearn")
    data = np.load(Path(package.submodule_search_locations[0], "data", "watch_dataset.npy"), allow_pickle=True).item()

    def recording(person: int, label: int) -> np.ndarray:
        return next(x for x, y, who in zip(data["X"], data["y"], data["subject"], strict=True) if who == person and y == label)

    lines, at = [], 0
    for label in (0, 6, 5):
        for row in recording(8, label)[100:500]:
            payload = {name: round(float(value), 3) for name, value in zip(INPUTS, row, strict=True)}
            lines.append(json.dumps({"at": round(at * EVERY_S, 2), "topic": "wrist/imu", "payload": payload}))
            at += 1
    (FOLDER / "wrist.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = ["series,label," + ",".join(INPUTS)]
    for person in (8, 9, 10):
        for label, name in enumerate(CLASSES):
            rows += [f"{person},{name}," + ",".join(f"{value:.3f}" for value in row) for row in recording(person, label)[100:350]]
    (FOLDER / "held_out.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
