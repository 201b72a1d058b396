"""Trigger groups: the pure machine that decides when an agent works."""

from edgematrix.triggers.arrival import Arrival, Hits
from edgematrix.triggers.calendar import Calendar
from edgematrix.triggers.check import check_group
from edgematrix.triggers.effect import Cancel, DeadLetter, Effect, Start
from edgematrix.triggers.finding import Finding
from edgematrix.triggers.firing import Firing, Reading
from edgematrix.triggers.group import Group
from edgematrix.triggers.signal import ClockStepped, HandedOver, Judged, RunEnded, Tick
from edgematrix.triggers.spec import GroupSpec, SourceSpec
from edgematrix.triggers.state import GroupState
from edgematrix.triggers.step import Step
from edgematrix.triggers.trace import Reason, Trace
from edgematrix.triggers.view import describe_match

__all__ = [
    "Arrival",
    "Calendar",
    "Cancel",
    "ClockStepped",
    "DeadLetter",
    "Effect",
    "Finding",
    "Firing",
    "Group",
    "GroupSpec",
    "GroupState",
    "HandedOver",
    "Hits",
    "Judged",
    "Reading",
    "Reason",
    "RunEnded",
    "SourceSpec",
    "Start",
    "Step",
    "Tick",
    "Trace",
    "check_group",
    "describe_match",
]
