"""`edgematrix bridge`: devices that speak something else, each as an agent on its path."""

from __future__ import annotations

import typer

from edgematrix.cli import bridge_esphome, bridge_mqtt_sn, bridge_serial
from edgematrix.cli.help import CommandWithExample

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix bridge serial home.yaml --line home/shed/arduino=/dev/ttyUSB0@115200
edgematrix bridge mqtt-sn home.yaml --listen 127.0.0.1:1884
edgematrix bridge esphome home.yaml --device home/hall/lamp=192.168.1.20"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

for _name, _module in (("serial", bridge_serial), ("mqtt-sn", bridge_mqtt_sn), ("esphome", bridge_esphome)):
    SUBCOMMANDS.command(_name, cls=CommandWithExample, short_help=_module.SUMMARY, epilog=_module.EXAMPLE)(_module.command)
