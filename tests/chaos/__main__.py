"""Sends numbers through a durable flow over three hosts while hosts and brokers are killed, and counts what comes out.

    python -m tests.chaos --seed 1 --messages 40000 --kills 50
    python -m tests.chaos --seed 1 --seeds 10 --persistence off
    python -m tests.chaos --seed 1 --broker nats-cluster

The last line is `N messages, K kills: X lost, Y twice`. Its exit code is 0 where nothing was lost and nothing came twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import HOSTS, Options, run


def main() -> int:
    """Run, print, and tell by the exit code whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="from which the kills are drawn")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds to run, one after the other, from --seed on")
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--full", type=int, default=0, help="how often the disk of a host is full for two seconds")
    parser.add_argument("--broker", choices=("mosquitto", "nats-cluster"), default="mosquitto")
    parser.add_argument("--persistence", choices=("on", "off"), default="on", help="whether mosquitto keeps anything over a kill")
    parser.add_argument("--access", action="store_true", help="whether mosquitto has the chain's access list; what it refuses is counted")
    parser.add_argument("--hosts", type=int, choices=range(1, len(HOSTS) + 1), default=len(HOSTS))
    parser.add_argument("--window", type=int, default=1_000, help="how many messages are under way at once")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds without anything new after which a run is given up")
    parser.add_argument("--folder", type=Path, help="where stores and logs are kept afterwards; else they go")
    chosen = parser.parse_args()
    lost = twice = kills = 0
    is_well = True
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        with tempfile.TemporaryDirectory(prefix="chaos-") as place:
            folder = Path(place) / "run" if chosen.folder is None else chosen.folder / f"seed-{seed}"
            result = run(
                Options(
                    seed=seed,
                    messages=chosen.messages,
                    kills=chosen.kills,
                    folder=folder.absolute(),
                    broker=chosen.broker,
                    persistent=chosen.persistence == "on",
                    hosts=chosen.hosts,
                    access=chosen.access,
                    fillings=chosen.full,
                    window_max=chosen.window,
                    patience_s=chosen.patience,
                    tells=True,
                )
            )
        print(*result.lines, sep="\n")
        is_well = is_well and not result.denied
        if result.trouble:
            print(f"trouble: {result.trouble}")
            is_well = False
        lost, twice, kills = lost + result.lost, twice + result.twice, kills + result.kills
    print(f"{chosen.messages * chosen.seeds} messages, {kills} kills: {lost} lost, {twice} twice")
    return 0 if is_well and not lost and not twice else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
