"""`edgematrix firmware`."""

from __future__ import annotations

import typer

from edgematrix.cli import firmware_build, firmware_esphome, firmware_key, firmware_push, firmware_sign, firmware_status, firmware_tasmota
from edgematrix.cli.help import CommandWithExample

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix firmware key update.pem                                # once: what images are signed with
edgematrix firmware build greenhouse --board greenhouse --version 2
edgematrix firmware sign greenhouse-2.emfw --key update.pem
edgematrix firmware push greenhouse-2.emfw home/greenhouse/board  # and stay until it runs there
edgematrix firmware status
edgematrix firmware esphome home/shed/tank --matrix home.yaml --out tank.yaml"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_COMMANDS = {
    "key": (firmware_key, "Make a key that images are signed with."),
    "build": (firmware_build, "Pack a board's program into an image."),
    "sign": (firmware_sign, "Sign an image."),
    "push": (firmware_push, "Offer an image to boards, and serve it until they run it."),
    "esphome": (firmware_esphome, firmware_esphome.SUMMARY),
    "tasmota": (firmware_tasmota, firmware_tasmota.SUMMARY),
    "status": (firmware_status, "Show what boards run, load, and refused."),
}

for _name, (_module, _summary) in _COMMANDS.items():
    SUBCOMMANDS.command(_name, cls=CommandWithExample, short_help=_summary, epilog=_module.EXAMPLE)(_module.command)
