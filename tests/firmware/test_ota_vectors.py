"""Offers as bytes (firmware_bridge/vectors/offers.json): the host reads them, and boards on both interpreters judge them alike."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from firmware_bridge import micropython
from firmware_bridge.ota.image import read_image

HERE = Path(__file__).parent
FILE = Path(micropython.__file__).parent / "vectors" / "offers.json"
VECTORS = json.loads(FILE.read_text())


def test_the_host_reads_the_image(tmp_path: Path) -> None:
    whole = bytes.fromhex(VECTORS["image"])
    (tmp_path / "image").write_bytes(whole)
    found = read_image(tmp_path / "image")
    assert found.files() == [("lib/x.py", b"x = 1\n"), ("main.py", b"print(1)\n")]
    assert (found.manifest.board, found.manifest.version, found.proof.algorithm) == ("home/board", 2, 1)
    assert found.offer.hex() == next(case["offer"] for case in VECTORS["offers"] if case["name"] == "RSA")
    assert found.to_bytes() == whole


def test_boards_judge_them_alike(interpreter: list[str], tmp_path: Path) -> None:
    words = [*interpreter, str(HERE / "ota_offers.py"), str(FILE), str(tmp_path)]
    done = subprocess.run(words, check=False, env=micropython.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {case["name"]: case["code"] for case in VECTORS["offers"]}
