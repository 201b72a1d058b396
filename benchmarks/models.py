"""What models cost, against the bare runtimes that they run on.

python -m benchmarks models                      # all parts
python -m benchmarks models onnx                 # one of them
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Final

__all__ = ["PARTS", "main"]

PARTS: Final = {
    "onnx": "benchmarks.onnx_windows",
    "cascade": "benchmarks.cascade",
    "encoder": "benchmarks.encoder",
    "llm": "benchmarks.language_model",
    "voice": "benchmarks.voice",
}
"""The parts by name, each a module with a `main`."""


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks models", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; without one, all")
    for name in parser.parse_args().parts or PARTS:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; there are {', '.join(PARTS)}")
        import_module(PARTS[name]).main()
