"""`python -m benchmarks NAME [arguments]`: one of the modules here."""

from __future__ import annotations

import sys
from importlib import import_module

KNOWN = ("bus", "composition", "firmware", "hosts", "models", "signing", "start", "triggers")


def main() -> None:
    """Run the measurement that is named."""
    if len(sys.argv) < 2 or sys.argv[1] not in KNOWN:  # noqa: PLR2004 - the name comes after the program
        sys.exit(f"usage: python -m benchmarks NAME [arguments]; NAME is one of {', '.join(KNOWN)}")
    name = sys.argv.pop(1)
    import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
