"""What can be told about a group from its definition alone (docs/spec/triggers.md, "Checked when the file is read")."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from edgematrix.errors import ExpressionError, TopicError
from edgematrix.expression import Condition
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.check_source import check_source, filter_of, is_level, is_token
from edgematrix.triggers.finding import Finding, error, warning
from edgematrix.triggers.firing import NAMES_TAKEN
from edgematrix.triggers.plan import condition_names
from edgematrix.triggers.spec import GroupSpec, SourceSpec

__all__ = ["check_group"]

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_group(spec: GroupSpec, calendar: Calendar, fields: Mapping[str, Collection[str]] | None = None) -> list[Finding]:
    """What is wrong, and what looks wrong. A group without errors can be compiled.

    Args:
        spec: the group.
        calendar: time zone and place, for clocks.
        fields: by source, the properties of its value that `where` may name directly.
    """
    findings: list[Finding] = []
    for name, source in spec.on.items():
        findings += _check_name(name)
        findings += check_source(name, source, calendar, (fields or {}).get(name, ()))
    findings += _check_need(spec)
    findings += _check_key(spec)
    findings += _check_if(spec)
    findings += _check_waiting(spec)
    findings += _check_mixing(spec)
    findings += _check_runs(spec)
    return findings


def _check_name(name: str) -> Iterator[Finding]:
    if name in NAMES_TAKEN:
        yield error(f"a source cannot be called `{name}`: conditions know something else by that name", "on", name)
    elif _IDENTIFIER.fullmatch(name) is None:
        yield warning(f"no condition or template can name `{name}`", "on", name, remedy="take letters, digits and _")


def _of_role(spec: GroupSpec, *roles: str) -> list[SourceSpec]:
    return [source for source in spec.on.values() if source.role in roles]


def _check_need(spec: GroupSpec) -> Iterator[Finding]:
    regular = len(_of_role(spec, "regular"))
    if not _of_role(spec, "regular", "gate"):
        yield error("no source is regular, so the group never fires", "on", remedy="leave `role` out where it is to be awaited")
    elif isinstance(spec.need, int) and spec.need > regular:
        yield error(f"`need: {spec.need}`, but there are {regular} regular sources", "need")
    elif spec.need == "sequence" and not regular:
        yield error("a sequence of no regular source", "need")
    elif spec.need == "sequence" and regular == 1:
        yield warning("a sequence of one regular source", "need")
    if spec.need == "sequence":
        for name, source in spec.on.items():
            if source.role == "regular" and source.keep != "latest":
                yield warning(f"`keep: {source.keep}` has no effect: each step of a sequence is one token", "on", name, "keep")


def _check_key(spec: GroupSpec) -> Iterator[Finding]:
    filters = [found for source in spec.on.values() if (found := filter_of(source)) is not None]
    known = {name for found in filters for name in found.names}
    if spec.by is not None and spec.by not in known:
        names = ", ".join(f"`{name}`" for name in sorted(known)) or "nothing"
        yield error(f"no source captures `{spec.by}`; captured is {names}", "by", remedy=f"write {{{spec.by}}} for a level of a topic")


def _check_if(spec: GroupSpec) -> Iterator[Finding]:
    if spec.if_ is not None:
        try:
            Condition.compile(spec.if_, condition_names(spec))
        except ExpressionError as wrong:
            yield error(f"{wrong.what} ({wrong.where})", "if", remedy=wrong.remedy)
        except TopicError:
            return  # the source's own finding
    elif spec.if_false == "keep":
        yield warning("`if_false: keep` has no effect without `if`", "if_false")


def _check_waiting(spec: GroupSpec) -> Iterator[Finding]:
    regular = {name: source for name, source in spec.on.items() if source.role == "regular"}
    tokens = [name for name, source in regular.items() if is_token(source)]
    levels = [name for name, source in regular.items() if is_level(source)]
    waits = spec.need == "sequence" or any(is_token(source) for source in spec.on.values())
    if spec.within is not None and not waits:
        yield warning("`within` has no effect: there are levels alone, and no tokens", "within")
    if spec.timeout is None and spec.on_timeout == "fire":
        yield warning("`on_timeout: fire` has no effect without `timeout`", "on_timeout")
    if spec.timeout is not None and spec.need != "sequence" and not any(map(is_token, _of_role(spec, "regular", "gate"))):
        yield warning("`timeout` never comes: there are levels alone, and no tokens", "timeout")
    if tokens and levels and spec.within is None and spec.timeout is None and spec.need not in ("any", 1, "sequence"):
        what = f"a token of `{tokens[0]}` waits without end for the level `{levels[0]}`, and fires when it turns ON"
        yield warning(what, "on", levels[0], remedy=f"`role: condition` on `{levels[0]}` if that is not meant, else `within`")


def _check_mixing(spec: GroupSpec) -> Iterator[Finding]:
    for name, source in spec.on.items():
        found = filter_of(source)
        if found is None or not is_level(source) or (spec.by is not None and spec.by in found.names):
            continue
        if "+" in found.subscription or "#" in found.subscription:
            what = f"the level `{name}` mixes all that match {source.topic!r}: one turns it ON, another OFF"
            yield warning(what, "on", name, "topic", remedy="capture a level as {name} and group `by: name`")


def _check_runs(spec: GroupSpec) -> Iterator[Finding]:
    if spec.overflow != "drop_new" and spec.mode in ("single", "restart"):
        yield warning(f"`overflow: {spec.overflow}` has no effect with `mode: {spec.mode}`", "overflow")
    elif spec.overflow == "drop_old" and spec.mode == "queued" and spec.max == 1:
        yield warning("`overflow: drop_old` has no effect with `max: 1`: nothing waits", "overflow")
    if spec.limit is not None and spec.limit.per == 0:
        yield error("`limit` counts within 0 s", "limit", "per")
    if spec.durable is False and spec.on_restart != "resume":
        yield warning(f"`on_restart: {spec.on_restart}` has no effect with `durable: false`", "on_restart")
