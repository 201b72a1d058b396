"""`python -m edgematrix`."""

from __future__ import annotations

import sys

from edgematrix.cli.main import main

sys.exit(main())
