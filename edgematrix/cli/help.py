"""How help is laid out: commands by what they are for, and examples as they are typed.

Plain text: typer's own rich help costs more time than all the rest of the start.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["CommandGroup", "CommandWithExample", "GroupWithExample"]


class CommandGroup(TyperGroup):
    """Lists its commands under their panels, in written order."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.commands:
            command: Any = self.get_command(ctx, name)
            panels.setdefault(command.rich_help_panel, []).append((name, command.short_help))
        width = max(map(len, self.commands))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the last words as they stand."""
        del ctx
        formatter.write(f"\n{self.epilog}\n")


class CommandWithExample(TyperCommand):
    """Its epilog holds examples, one a line."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples without wrapping them."""
        del ctx
        _write_examples(self.epilog, formatter)


class GroupWithExample(TyperGroup):
    """A command with sub-commands. Its epilog holds examples, one a line."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples without wrapping them."""
        del ctx
        _write_examples(self.epilog, formatter)


def _write_examples(epilog: str | None, formatter: Any) -> None:
    if epilog:
        with formatter.section("Examples"):
            for line in epilog.splitlines():
                formatter.write(f"  {line}\n" if line else "\n")
