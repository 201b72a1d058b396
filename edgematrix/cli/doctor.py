"""`edgematrix doctor`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import plain, say, style
from edgematrix.cli.model_probes import extra_probes, matrix_probes
from edgematrix.cli.options import RootOption, UrlOption
from edgematrix.cli.probe import Health, Probe, local_probes
from edgematrix.cli.round_trip import BrokerSeen, look_at_broker
from edgematrix.cli.run_file import find_run, without_password
from edgematrix.cli.target import Target, find_target, named_by_environment
from edgematrix.errors import BusError, EdgeMatrixError, UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix doctor
edgematrix doctor --url mqtt://192.168.1.10     # a broker that runs elsewhere
edgematrix doctor --access access               # identities too: which certificates end soon
edgematrix doctor --matrix home.yaml            # the models that it names too
edgematrix doctor --json"""

_SIGNS = {Health.GOOD: ("✓", "green"), Health.POOR: ("!", "yellow"), Health.ABSENT: ("–", "bright_black"), Health.FAILED: ("✗", "red")}  # noqa: RUF001 - the dash is meant
_NAME_WIDTH = 24
_AGENTS_NAMED_MAX = 5


def command(
    url: UrlOption = None,
    root: RootOption = None,
    access: Annotated[
        Path | None, typer.Option("--access", metavar="DIR", help="Look at this folder of identities, which `provision` made, too.")
    ] = None,
    matrix: Annotated[Path | None, typer.Option("--matrix", metavar="MATRIX", help="Look for the models that its agents name too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look whether this machine has what is needed, and how the broker and the hosts on it fare.

    The exit code is 1 if something that is needed does not work.
    """
    probes: list[Probe] = []
    for probe in chain(_probes(url, root), () if access is None else _access(access), () if matrix is None else matrix_probes(matrix)):
        probes.append(probe)
        if not as_json:
            _show(probe)
    failed = sum(probe.health is Health.FAILED for probe in probes)
    if as_json:
        say(json.dumps({"ok": not failed, "probes": [asdict(probe) for probe in probes]}, indent=2, ensure_ascii=False))
    else:
        say()
        say(style(f"✗ {failed} needed and not working", fg="red") if failed else style("✓ all that is needed works", fg="green"))
    if failed:
        raise typer.Exit(1)


def _probes(url: str | None, root: str | None) -> Iterator[Probe]:
    run = find_run()
    is_named = url is not None or bool(named_by_environment())
    yield from local_probes(broker_needed=not is_named and run is None)
    yield from extra_probes()
    if not is_named and run is None:
        yield Probe(Health.ABSENT, "run", "nothing runs in this folder", "edgematrix run MATRIX, or --url for a broker that runs elsewhere")
        return
    if run is not None and url is None:
        yield Probe(Health.GOOD, "run", f"{run.matrix} as host {run.host}, process {run.pid}, since {run.started}")
    yield from _bus(url, root)


def _bus(url: str | None, root: str | None) -> Iterator[Probe]:
    try:
        target = find_target(url, root)
        seen = asyncio.run(look_at_broker(target.url, target.root))
    except UsageError:
        raise
    except BusError as error:
        yield Probe(Health.FAILED, "broker", f"{error.where}: {error.what}", error.remedy)
        return
    yield Probe(Health.GOOD, "broker", f"{without_password(target.url)}, MQTT {seen.version}")
    if seen.is_secure:
        yield from _endings(seen.endings, "edgematrix provision … makes new ones")
    yield _round_trip(seen)
    yield from _hosts(seen, target)


def _access(path: Path) -> Iterator[Probe]:
    """What an access folder tells."""
    from edgematrix.identity.access_folder import AccessFolder  # noqa: PLC0415 - only who has one needs it
    from edgematrix.identity.folder_warnings import access_warnings  # noqa: PLC0415
    from edgematrix.identity.registry import read_registry  # noqa: PLC0415

    folder, now = AccessFolder(path), datetime.now(UTC)
    try:
        if not folder.exists:
            raise UsageError("there are no identities", where=str(path), remedy=f"edgematrix provision MATRIX --out {path}")
        registry = read_registry(folder.registry)
        warnings = access_warnings(folder, registry, now)
    except EdgeMatrixError as error:
        yield Probe(Health.FAILED, "identities", f"{error.where}: {error.what}", error.remedy)
        return
    alive = sum(1 for entry in registry.principals if entry.live(now))
    yield Probe(Health.GOOD, "identities", f"{alive} of {len(registry.principals)} in {registry.matrix} may come in")
    yield from _endings(warnings, f"edgematrix provision MATRIX --out {path}, with --rotate NAME for who has one of these")


def _endings(warnings: Iterable[str], remedy: str) -> Iterator[Probe]:
    found = tuple(warnings)
    for text in found:
        yield Probe(Health.POOR, "certificates", plain(text), remedy)
    if not found:
        yield Probe(Health.GOOD, "certificates", "none ends within 30 days")


def _round_trip(seen: BrokerSeen) -> Probe:
    if seen.best_effort_s is None or seen.assured_s is None:
        if seen.has_identity:
            return Probe(Health.ABSENT, "round trip", "not measured: the broker's access list has no em/reply/doctor/# for this user")
        return Probe(Health.FAILED, "round trip", seen.trouble, "the broker's access list has to allow em/reply/doctor/#")
    told = f"{seen.best_effort_s * 1000:.1f} ms with QoS 0, {seen.assured_s * 1000:.1f} ms with QoS 1"
    if seen.is_held_back:
        return Probe(Health.POOR, "round trip", f"{told}: the broker keeps small packets back", "`set_tcp_nodelay true` in mosquitto.conf")
    return Probe(Health.GOOD, "round trip", told)


def _hosts(seen: BrokerSeen, target: Target) -> Iterator[Probe]:
    hosts = seen.agents.hosts
    ready = seen.agents.ready
    for name, online in sorted(hosts.items()):
        health = Health.GOOD if online else Health.FAILED if target.run is not None and target.run.host == name else Health.ABSENT
        yield Probe(health, "host", f"{plain(name)} is {'online' if online else 'offline'}")
    if not hosts:
        yield Probe(Health.ABSENT, "host", f"no host is on this bus below {target.root}/")
    if ready:
        more = f" and {len(ready) - _AGENTS_NAMED_MAX} more" if len(ready) > _AGENTS_NAMED_MAX else ""
        yield Probe(Health.GOOD, "agents", plain(f"{len(ready)} ready: {', '.join(sorted(ready)[:_AGENTS_NAMED_MAX])}{more}"))


def _show(probe: Probe) -> None:
    sign, colour = _SIGNS[probe.health]
    detail = style(probe.detail, dim=True) if probe.health is Health.ABSENT else probe.detail
    say(f"{style(sign, fg=colour, bold=True)} {probe.name.ljust(_NAME_WIDTH)} {detail}")
    if probe.remedy and probe.health is not Health.GOOD:
        say(f"  {' ' * _NAME_WIDTH} {style('→ ' + probe.remedy, dim=True)}")
