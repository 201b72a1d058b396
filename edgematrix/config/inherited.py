"""What an agent takes over from those around it where it says nothing itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgematrix.agents.onnx_spec import OnnxSource
from edgematrix.config.spec import AgentSpec, DefaultsSpec
from edgematrix.triggers import GroupSpec, SourceSpec

__all__ = ["Inherited"]


class Inherited(msgspec.Struct, frozen=True):
    """The nearest defaults. `delivery: durable` implies QoS 1 for sources that do not say otherwise.

    `delivery` is what somebody says, `in_flow` tells that it is a flow, or inside one: there `durable` is the default.
    """

    durable: bool = True
    qos: Literal[0, 1] | None = None
    delivery: Literal["best_effort", "durable"] | None = None
    in_flow: bool = False

    @property
    def is_durable(self) -> bool:
        """Whether what the agent accepts is processed to its end, whatever becomes of the host meanwhile."""
        return self.in_flow if self.delivery is None else self.delivery == "durable"

    def under(self, defaults: DefaultsSpec | None) -> Inherited:
        """With these defaults on top."""
        if defaults is None:
            return self
        return Inherited(
            self.durable if defaults.durable is None else defaults.durable,
            self.qos if defaults.qos is None else defaults.qos,
            self.delivery if defaults.delivery is None else defaults.delivery,
            self.in_flow,
        )

    def of(self, agent: AgentSpec) -> Inherited:
        """For what an agent holds: its own words, then its defaults, then these."""
        below = self.under(agent.defaults)
        if agent.durable is None and agent.delivery is None and agent.flow is None:
            return below
        return Inherited(
            below.durable if agent.durable is None else agent.durable,
            below.qos,
            below.delivery if agent.delivery is None else agent.delivery,
            below.in_flow or agent.flow is not None,
        )

    def keeps(self, group: GroupSpec) -> bool:
        """Whether a group's state outlives a restart."""
        return self.durable if group.durable is None else group.durable

    def qos_of(self, source: SourceSpec | OnnxSource) -> int:
        """The QoS that a source is subscribed with."""
        if source.qos is not None:
            return source.qos
        if self.qos is not None:
            return self.qos
        return 1 if self.delivery == "durable" else 0
