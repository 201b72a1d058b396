"""`edgematrix firmware push`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.options import ForOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import Target, find_target
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.cli.visit import Visit
    from edgematrix.protocol.message import Publication
    from firmware_bridge.ota.desk import Desk, Stand
    from firmware_bridge.ota.image import Image

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware push greenhouse-2.emfw home/greenhouse/board
edgematrix firmware push greenhouse-2.emfw home/greenhouse/board home/shed/board --url @anna/broker.url
edgematrix firmware push greenhouse-2.emfw home/attic/board --for 1d     # a board that sleeps
edgematrix firmware push greenhouse-2.emfw home/greenhouse/board --withdraw"""

_AT_ONCE = 8
_AT_ONCE_MAX = 64
_BOARDS_MAX = 1_000
_TICK_S = 1.0
_USUAL_PAYLOAD_BYTES = 900


def command(
    file: Annotated[Path, typer.Argument(metavar="IMAGE", help="A signed image.")],
    boards: Annotated[list[str], typer.Argument(metavar="PATH…", help="The boards' paths.")],
    url: UrlOption = None,
    root: RootOption = None,
    duration: ForOption = None,
    at_once: Annotated[int, typer.Option("--at-once", metavar="N", help="How many boards are served at a time.")] = _AT_ONCE,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the offer back, and end.")] = False,
) -> None:
    """Offer a signed image to boards, and serve it until each runs it, or has said why it does not.

    The offer stays with the broker: a board that is away hears of it when it comes, and goes on where it was once this runs again.
    The exit code is 0 if all boards run it.
    """
    from firmware_bridge.ota.image import read_image  # noqa: PLC0415 - help needs none of it

    paths = [read_path(board) for board in boards]
    if len(paths) > _BOARDS_MAX or not 1 <= at_once <= _AT_ONCE_MAX:
        raise UsageError(f"{len(paths)} boards, {at_once} at once", remedy=f"at most {_BOARDS_MAX} boards, 1 to {_AT_ONCE_MAX} at once")
    image = read_image(file)
    if not (withdraw or image.proof.algorithm):
        raise UsageError("is not signed, and no board would take it", where=str(file), remedy=f"edgematrix firmware sign {file} --key FILE")
    target = find_target(url, root)
    if withdraw:
        asyncio.run(_withdraw(target, list(map(str, paths))))
        return
    if len(image.offer) > _USUAL_PAYLOAD_BYTES:
        complain(style(f"! the offer has {len(image.offer)} bytes: boards need a packet_bytes_max that holds it, and chunks", fg="yellow"))
    seconds = None if duration is None else duration.seconds
    raise typer.Exit(asyncio.run(_push(target, image, list(map(str, paths)), at_once, seconds)))


async def _withdraw(target: Target, boards: list[str]) -> None:
    from edgematrix.cli.visit import visit  # noqa: PLC0415 - what is typed is checked first
    from firmware_bridge.ota.desk import withdrawals  # noqa: PLC0415

    async with visit(target.url, [], lambda *_: None) as guest:
        for publication in withdrawals(boards, target.root):
            await guest.assure(publication)
    say(f"no offer stands for {plain(', '.join(boards))}")


async def _push(target: Target, image: Image, boards: list[str], at_once: int, seconds: float | None) -> int:
    from edgematrix.cli.hosts_seen import wait_quiet  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.cli.visit import visit  # noqa: PLC0415
    from firmware_bridge.ota.desk import Desk  # noqa: PLC0415

    desk, heard = Desk(image, boards, target.root, at_once), asyncio.Event()
    board = _Board(desk)
    guests: list[Visit] = []

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos
        _publish(guests, desk.heard(topic, payload, retained, time.monotonic()))
        heard.set()

    def changed(text: str) -> None:
        complain(style(plain(text), dim=True))
        # A broker that was started anew may have forgotten what stood there.
        _publish(guests, desk.offers())

    async with visit(target.url, desk.filters, received, qos=1, changed=changed) as guest:
        await wait_quiet(heard)
        offers = desk.offers()
        for publication in offers:
            await guest.assure(publication)
        guests.append(guest)
        if offers:
            told = f"{len(offers)} board{'s' if len(offers) > 1 else ''}"
            say(f"version {image.manifest.version} is offered to {told}; Ctrl-C leaves the offer")
        await _serve(desk, board, guests, heard, None if seconds is None else time.monotonic() + seconds)
        if guest.trouble:
            complain(style(plain(guest.trouble[0]), fg="red"))
    return board.summary()


async def _serve(desk: Desk, board: _Board, guests: list[Visit], heard: asyncio.Event, until_s: float | None) -> None:
    """Until all is done, the time is over, or the broker wants us no longer."""
    while True:
        board.show()
        now_s = time.monotonic()
        running = guests[0].running
        if desk.is_done or (until_s is not None and now_s >= until_s) or (running is not None and running.done()):
            return
        heard.clear()
        try:
            async with asyncio.timeout(_TICK_S if until_s is None else min(_TICK_S, max(0.0, until_s - now_s))):
                await heard.wait()
        except TimeoutError:
            _publish(guests, desk.passed(time.monotonic()))


def _publish(guests: list[Visit], publications: list[Publication]) -> None:
    for guest in guests:
        for publication in publications:
            guest.transport.publish(publication)


class _Board:
    """What is shown: a line when something is new, no more than one for each tenth."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shown: dict[str, tuple[str, int]] = {}

    def show(self) -> None:
        """Say what is new."""
        for path, stand in self._desk.stands.items():
            now = (str(stand.phase), stand.percent // 10 if stand.phase == "loading" else 0)
            if now != self._shown.get(path, ("waiting", 0)):
                self._shown[path] = now
                say(f"{plain(path)}  {_line(stand)}")

    def summary(self) -> int:
        """Say what is left; 0 if nothing is."""
        open_ones = [stand for stand in self._desk.stands.values() if not stand.phase.is_last]
        for stand in open_ones:
            complain(style(f"{plain(stand.board)}  {_line(stand)}: the offer stands; run this again to serve it", fg="yellow"))
        return int(any(stand.phase != "done" for stand in self._desk.stands.values()))


def _line(stand: Stand) -> str:
    if stand.phase == "loading":
        return f"loading {stand.percent} %"
    if stand.phase == "done":
        return style("runs it", fg="green")
    if stand.phase == "refused":
        return style(f"does not take it: {plain(stand.reason)}", fg="red")
    return "on trial" if stand.phase == "trial" else "not heard of"
