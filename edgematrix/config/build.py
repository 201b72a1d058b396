"""Makes the running objects of a matrix out of its definition: the only composition root."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edgematrix.agents.actions import Plan
from edgematrix.agents.device import Device
from edgematrix.agents.spec import DeviceSpec, PortSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.boards import Boards
from edgematrix.config.composites import Composites
from edgematrix.config.edges import edges_of
from edgematrix.config.inbound import inbound_filters
from edgematrix.config.inherited import Inherited
from edgematrix.config.marks import marks_of
from edgematrix.config.people import People
from edgematrix.config.port_checks import port_checks
from edgematrix.config.source_fields import fields_of
from edgematrix.config.spec import MatrixSpec, TriggerSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.worktable import Worktable
from edgematrix.errors import ConfigError, EdgeMatrixError, Issue
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import NO_TRAIL
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.assembly import Assembly, Parts, Recomposed
from edgematrix.runtime.device_runner import DeviceRunner
from edgematrix.runtime.draft import Site
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.relay import Relay
from edgematrix.runtime.rule_body import RuleBody
from edgematrix.runtime.run import Body
from edgematrix.runtime.work_runner import WorkRunner
from edgematrix.triggers import Calendar, Group, SourceSpec
from edgematrix.triggers.plan import condition_names

if TYPE_CHECKING:
    from edgematrix.identity.secrets import OwnSecrets
    from edgematrix.runtime.course_body import CourseBody
    from edgematrix.runtime.onnx_body import OnnxBody

__all__ = ["Builder", "build"]

T = TypeVar("T")


def build(spec: MatrixSpec, around: Surroundings) -> Assembly:
    """Build every agent of a matrix.

    Raises:
        ConfigError: something cannot be built; each finding names its place in the tree.
    """
    tree = AgentTree.of(spec, around.places)
    engine = Engine(spec.root, spec.matrix, new_id=around.new_id, limits=replace(Limits(), **spec.limits), echo=around.echo)
    engine.elsewhere = frozenset(node.path for node in tree if node.is_elsewhere)
    assembly = Assembly(engine, agents=tuple(node.path for node in tree if not node.is_elsewhere))
    builder = Builder(tree, around, assembly, engine)
    builder.build(tree)
    assembly.adopt(builder.parts)
    assembly.filters.update(dict.fromkeys(inbound_filters(tree), 1))
    assembly.session_durable = builder.is_durable
    engine.edges, engine.marks = edges_of(tree), marks_of(tree)
    return assembly


class Builder:
    """Builds agents of a tree onto an engine, or into a draft of what is to be there.

    What it made is in `parts`; nothing of `assembly` changes. `is_durable` tells whether any of it has `delivery: durable`.
    """

    def __init__(self, tree: AgentTree, around: Surroundings, assembly: Assembly, site: Site) -> None:
        spec = self._spec = tree.matrix
        self._tree = tree
        self._around = around
        self._assembly = assembly
        self._engine = assembly.engine
        self._site = site
        self._calendar = Calendar(spec.timezone, *((spec.location.lat, spec.location.lon) if spec.location else (None, None)))
        base = Inherited().under(spec.defaults)
        self._inherited: dict[str, Inherited] = {spec.matrix: base}
        self._issues: list[Issue] = []
        self.is_durable = base.delivery == "durable"
        self.parts = Parts(order=assembly.order, workshop=assembly.workshop, questions=assembly.questions)
        self._table = Worktable(tree, around, assembly.engine, site, self.parts)
        self._people = People(self._table)
        self._composites = Composites(self._table, self._people)
        self._ears = self._table.ears
        self._boards = Boards(tree, assembly, self._ears, self.parts)

    def build(self, nodes: Iterable[AgentNode]) -> None:
        """Build these agents.

        Raises:
            ConfigError: something cannot be built; each finding names its place in the tree.
        """
        found = tuple(nodes)
        self._boards.anew = frozenset(node.path for node in found)
        for node in found:
            own = self._below(node.path.rpartition("/")[0]).of(node.spec)
            self.is_durable = self.is_durable or own.delivery == "durable"
            self._agent(node, own)
        self._boards.build()
        if self._issues:
            raise ConfigError(self._issues)

    def recompose(self, node: AgentNode, body: CourseBody) -> Recomposed:
        """The new plan of a composite that goes on: `body` is to follow it.

        Raises:
            ConfigError: it cannot be built.
        """
        found = self._attempt(f"{node.path}: {node.kind}", partial(self._composites.plan, node))
        if found is None:
            raise ConfigError(self._issues)
        composition, members = found
        self._composites.attend(node, body, composition)
        return Recomposed(node.path, composition, members)

    def attend(self, node: AgentNode) -> None:
        """Let an agent that goes on hear all that it hears, and may call, elsewhere.

        Raises:
            ConfigError: it cannot be built.
        """
        path, own = node.path, self._below(node.path.rpartition("/")[0]).of(node.spec)
        for reference in node.spec.sends:
            self._attempt(f"{path}: sends", partial(self._wire, path, reference))
        for window_source in node.spec.onnx.on.values() if node.spec.onnx is not None else ():
            if window_source.from_ is not None:
                self._ears.follow_port(self._tree.source(window_source.from_, path), own.qos_of(window_source))
        for trigger in node.spec.triggers.values():
            for source in trigger.on.values():
                if source.from_ is not None:
                    self._ears.follow_port(self._tree.source(source.from_, path), own.qos_of(source))
            for action in trigger.do:
                if action.call is not None:
                    self._ears.hear_answers(path, self._tree.destination(action.call.agent, path).node)
        for port in node.spec.outputs.values():
            if port.from_ is not None and node.spec.flow is None:
                inside = self._tree.child_output(port.from_, node)
                self._ears.follow_port(inside, port.qos)
                self._ears.hear_parts(path, inside.node, inside.port)
        self._ears.hear_below(node)
        self._ears.hear_readers(node)
        if not node.kind:
            self._ears.follow_called(path)
        if self._issues:
            raise ConfigError(self._issues)

    def _below(self, path: str) -> Inherited:
        """What the agents right below `path` take over."""
        found = self._inherited.get(path)
        if found is None:
            found = self._inherited[path] = self._below(path.rpartition("/")[0]).of(self._tree.nodes[path].spec)
        return found

    # Agents

    def _agent(self, node: AgentNode, own: Inherited) -> None:
        if node.is_elsewhere:
            return
        agent, path = node.spec, node.path
        if own.is_durable:
            self._site.durable.add(path)
        if agent.inputs or agent.outputs:
            self._site.checks.update(port_checks(self._spec.root, node, self._around.loader.defined(path)))
        for name, port in agent.outputs.items():
            self._attempt(f"{path}: outputs.{name}", partial(self._output, node, name, port))
        if agent.device is not None:
            self._attempt(f"{path}: device", partial(self._device, node, agent.device, own))
        for reference in agent.sends:
            self._attempt(f"{path}: sends", partial(self._wire, path, reference))
        if agent.publishes is not None:
            self._site.publishable[path] = tuple(agent.publishes)
        self._ears.hear_below(node)
        self._ears.hear_readers(node)
        body = None
        if node.kind:
            body = self._attempt(f"{path}: {node.kind}", partial(self._composites.body, node))
        if agent.onnx is not None:
            body = self._attempt(f"{path}: onnx", partial(self._onnx, node, own))
        if agent.voice is not None:
            self._attempt(f"{path}: voice", partial(self._voice, node, own))
        if not agent.triggers and (body is not None or agent.python is not None):
            self._attempt(f"{path}: python", partial(self._work, node, own, body))
        for name, trigger in agent.triggers.items():
            self._attempt(f"{path}: triggers.{name}", partial(self._group, node, name, trigger, own, body))
        self._ears.follow_called(path)

    def _attempt(self, place: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except EdgeMatrixError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            self._issues.append(Issue("error", what, path=place, remedy=error.remedy))
        except ValueError as error:
            self._issues.append(Issue("error", str(error), path=place))
        return None

    def _output(self, node: AgentNode, name: str, port: PortSpec) -> None:
        path = node.path
        if port.qos or port.retain:
            self._site.deliveries[topic_for(self._spec.root, Kind.OUT, path, name)] = (port.qos, port.retain)
        if port.from_ is not None and node.spec.flow is None:
            inside = self._tree.child_output(port.from_, node)
            self._ears.read(inside, Relay(self._engine, path, name), 0, qos=port.qos)
            self._ears.hear_parts(path, inside.node, inside.port)
        if port.initial is not None:
            self.parts.openings.append(partial(self._engine.emit, path, name, port.initial, NO_TRAIL))

    def _device(self, node: AgentNode, spec: DeviceSpec, own: Inherited) -> None:
        path = node.path
        device = Device(spec, self._spec.root)
        runner = DeviceRunner(self._engine, path, device, self._table.next_order())
        for topic_filter, qos, index in runner.foreign_inputs():
            self._ears.listen(topic_filter, runner, index, qos=qos)
        for port, index in runner.ports():
            self._ears.listen(TopicFilter.parse(topic_for(self._spec.root, Kind.IN, path, port)), runner, index)
        for write in spec.writes.values():
            self._site.guard(write.topic, path)
        if device.is_paced:
            self.parts.counters.append(runner)
        critical = {port: approval for port, write in spec.writes.items() if (approval := write.approval) is not None}
        if critical:
            self._people.approvals(runner, critical, own)

    def _onnx(self, node: AgentNode, own: Inherited) -> Body | None:
        """A model: what comes on its input, or what its groups fire, begins its runs; with sources of its own windows do."""
        from edgematrix.agents.window import Windows  # noqa: PLC0415 - few matrices have a model
        from edgematrix.config.onnx_agent import onnx_agent  # noqa: PLC0415
        from edgematrix.runtime.onnx_body import OnnxBody  # noqa: PLC0415
        from edgematrix.runtime.window_runner import WindowRunner  # noqa: PLC0415

        made = onnx_agent(self._tree, node, self._around.loader.folder)
        scorer = None if self._around.scorer is None else self._around.scorer(made.wanted, node.path, self._table.workshop())
        answers = not made.heard
        model: OnnxBody = OnnxBody(self._engine, scorer, made.reading, made.classes, made.ports, made.timeout_us, answers=answers)
        body = self._table.supervised(node, model)
        if answers:
            return body
        sources = [heard.source for heard in made.heard]
        runner = WindowRunner(self._engine, node.path, sources, Windows(made.plan), body, self._table.next_order())
        for index, heard in enumerate(made.heard):
            qos = own.qos_of(heard.spec)
            if isinstance(heard.origin, Target):
                self._ears.read(heard.origin, runner, index, qos=qos)
            else:
                self._ears.listen(heard.origin, runner, index, qos=qos)
        self._site.holders.setdefault(node.path, []).append(runner)
        self.parts.openings.append(runner.open)
        return None

    def _voice(self, node: AgentNode, own: Inherited) -> None:
        """A microphone: its frames, orders to listen, and what is answered to what was said."""
        from edgematrix.config.voice_agent import frame_topic, voice_agent  # noqa: PLC0415 - few matrices have one
        from edgematrix.runtime.voice_runner import ANSWERS, FRAMES, LISTEN, VoiceRunner  # noqa: PLC0415

        maker = self._around.voices
        made = voice_agent(self._tree, node, self._around.loader.folder, is_scripted=maker is None or maker.is_scripted(node.path))
        desk = None if maker is None else maker(made.wanted, node.path, self._table.workshop())
        runner = VoiceRunner(self._engine, node.path, made.plan, desk)
        self._site.wires.add((node.path, *made.plan.to))
        self._ears.listen(TopicFilter.parse(frame_topic(node)), runner, FRAMES, qos=0)
        self._ears.listen(TopicFilter.parse(topic_for(self._spec.root, Kind.IN, node.path, "listen")), runner, LISTEN)
        for answers in made.answers:
            self._ears.read(answers, runner, ANSWERS, qos=own.qos or 0)
        self.parts.openings.append(runner.open)

    def _wire(self, path: AgentPath, reference: str) -> None:
        target = self._tree.destination(reference, path)
        self._site.wires.add((path, target.node.path, target.port))
        if self._tree.nodes[path].spec.python is not None:
            self._ears.hear_answers(path, target.node)

    # Groups

    def _group(self, node: AgentNode, name: str, trigger: TriggerSpec, own: Inherited, body: Body | None) -> None:
        sources: dict[str, SourceSpec] = {}
        inputs: list[tuple[TopicFilter | Target, int, int]] = []
        fields: dict[str, tuple[str, ...]] = {}
        for index, (source_name, source) in enumerate(trigger.on.items()):
            target = None if source.from_ is None else self._tree.source(source.from_, node.path)
            sources[source_name] = _with_policy(source, target, is_spread=bool(self._around.places.here))
            fields[source_name] = fields_of(source, target)
            if target is not None:
                inputs.append((target, index, own.qos_of(source)))
            elif source.topic is not None:
                inputs.append((TopicFilter.parse(source.topic), index, own.qos_of(source)))
        if any(source is not trigger.on[key] for key, source in sources.items()):
            trigger = replace(trigger, on=sources)
        if own.is_durable and trigger.rate_max is None and all(source.topic is None for source in sources.values()):
            trigger = replace(trigger, rate_max="none")  # what was accepted is not dropped, and rings are ended by their hops
        group = Group(trigger, path=node.path, name=name, calendar=self._calendar, fields=fields)
        body = body or self._table.supervised(node, self._body(node, trigger))
        # Runs that go on after a restart are counted by their group: its state has to be there then.
        keeps = own.is_durable or bool(node.spec.durable and trigger.do)
        durable = keeps or own.keeps(trigger)
        runner = GroupRunner(self._engine, node.path, group, body, self._table.next_order(), durable=durable, keeps=keeps)
        for heard, index, qos in inputs:
            if isinstance(heard, Target):
                self._ears.read(heard, self._boards.before(runner, heard), index, qos=qos)
            else:
                self._ears.listen(heard, runner, index, qos=qos)
        self.parts.groups.append(runner)
        self._site.holders.setdefault(node.path, []).append(runner)

    def _work(self, node: AgentNode, own: Inherited, body: Body | None) -> None:
        """Let what comes on the inputs of an agent without trigger groups begin its runs."""
        ports = sorted(self._tree.ports(node).inputs)
        body = body or self._table.supervised(node, self._code(node))
        runner = WorkRunner(self._engine, node.path, ports, body, self._table.next_order(), keeps=own.is_durable)
        for index, port in enumerate(ports):
            self._ears.listen(TopicFilter.parse(topic_for(self._spec.root, Kind.IN, node.path, port)), runner, index)
        self._site.holders.setdefault(node.path, []).append(runner)

    def _body(self, node: AgentNode, trigger: TriggerSpec) -> Body:
        path = node.path
        if node.spec.python is None:
            port_of = partial(self._tree.receiver, agent=path)
            plan = Plan.compile(trigger.do, condition_names(trigger), path, root=self._spec.root, port_of=port_of)
            self._site.wires.update((path, receiver, port) for receiver, port in plan.wires)
            for action in trigger.do:
                if action.call is not None:
                    self._ears.hear_answers(path, self._tree.destination(action.call.agent, path).node)
            return RuleBody(self._engine, plan)
        return self._code(node)

    def _code(self, node: AgentNode) -> Body:
        from edgematrix.runtime.code_body import CodeBody  # noqa: PLC0415 - a matrix without code does not need it

        assert node.spec.python is not None  # noqa: S101 - whoever calls knows
        code, names = self._around.loader.load(node.path, node.spec.python)
        secrets = self._secrets(node) if node.spec.secrets else None
        return CodeBody(self._engine, code, self._table.workshop(), self._around.clock, names, secrets)

    def _secrets(self, node: AgentNode) -> OwnSecrets:
        """What an agent's code may ask for; each is there now."""
        from edgematrix.identity.secrets import OwnSecrets  # noqa: PLC0415 - few agents name any

        source, names = self._around.secrets(), node.spec.secrets
        for name in names:
            source.read(name, node.path)
        self._engine.redact = source.redaction.text
        return OwnSecrets(source, node.path, names)


def _with_policy(source: SourceSpec, target: Target | None, *, is_spread: bool) -> SourceSpec:
    """A source with what it does with retained messages: for a device, or a board, what that says, or else `changed`.

    Where the matrix is spread over hosts that holds for every agent: one that moves changes nobody's group.
    """
    if source.retained is not None or target is None or target.kind is not Kind.OUT:
        return source
    node = target.node
    read = node.spec.device.reads.get(target.port) if node.spec.device else None
    if read is None and not node.is_elsewhere and not is_spread:
        return source
    return replace(source, retained=(read.retained if read else None) or "changed")
