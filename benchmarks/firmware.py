"""`python -m benchmarks firmware [NAME]`: what boards cost, and save. Without a name all that there is, one after another."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

_PREFIX: Final = "firmware_"


def main() -> None:
    """Run the measurement that is named, the module `firmware_NAME` here, with what arguments it has; or all of them."""
    known = sorted(file.stem.removeprefix(_PREFIX) for file in Path(__file__).parent.glob(f"{_PREFIX}*.py"))
    if len(sys.argv) > 1 and sys.argv[1] not in known:
        sys.exit(f"usage: python -m benchmarks firmware [NAME [arguments]]; NAME is one of {', '.join(known)}")
    for name in [sys.argv.pop(1)] if len(sys.argv) > 1 else known:
        import_module(f"benchmarks.{_PREFIX}{name}").main()
