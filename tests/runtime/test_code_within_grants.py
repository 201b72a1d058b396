"""What agents' code tries and may not: each is refused, with a reason and a remedy, and nothing leaves the host."""

from __future__ import annotations

from typing import Any

import pytest

from edgematrix.errors import ConfigError
from edgematrix.runtime.observation import DeadLettered, RunEnded

MATRIX = """
matrix: home
agents:
  code:
    python: "code:work"
    sends: [friend.in]
    publishes: [t/told/+, t/all/#]
    triggers: {t: {mode: parallel, on: {v: {topic: t/go}}}}
    agents:
      below: {inputs: {in: any}, triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: 1}}]}}}
  friend: {inputs: {in: any, other: any}, triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: 1}}]}}}
  stranger:
    inputs: {in: any}
    triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: 1}}]}}
    agents:
      child: {inputs: {in: any}, triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: 1}}]}}}
  lamp: {device: {reads: {state: {topic: z/lamp}}, writes: {set: {topic: t/all/lamp/set}}}}
  watcher: {triggers: {t: {on: {v: {from: stranger.out}}, do: [{publish: {topic: t/fooled, payload: 1}}]}}}
"""

TRIED = {
    "publish below the root": ("ctx.publish('em/out/home/stranger/out', 1)", "is below the root 'em'"),
    "publish an order": ("ctx.publish('em/op/anna/remove/home/stranger', {})", "is below the root 'em'"),
    "publish at the root": ("ctx.publish('em', 1)", "is below the root 'em'"),
    "publish what a device has": ("ctx.publish('t/all/lamp/set', 1)", "belongs to the agent of a device"),
    "publish what is not named": ("ctx.publish('t/other', 1)", "nothing grants home/code to publish on 't/other'"),
    "publish deeper than is named": ("ctx.publish('t/told/a/b', 1)", "nothing grants home/code to publish"),
    "publish a system topic": ("ctx.publish('$SYS/broker', 1)", "$SYS/broker"),
    "publish to the plugin": ("ctx.publish('$CONTROL/dynamic-security/v1', {})", "CONTROL"),
    "publish on a filter": ("ctx.publish('t/told/+', 1)", "t/told/+"),
    "emit on a path": ("ctx.emit('../stranger/out', 1)", "port"),
    "emit for another": ("ctx.emit('out/../../stranger/out', 1)", "port"),
    "emit on a slash": ("ctx.emit('x/out', 1)", "port"),
    "emit on a wildcard": ("ctx.emit('+', 1)", "port"),
    "emit an end": ("ctx.emit('_end', {'outcome': 'done'})", "port"),
    "stream on a path": ("ctx.stream(1, 'x/out')", "port"),
    "send to a stranger": ("ctx.send('stranger.in', 1)", "nothing grants home/code to send to home/stranger.in"),
    "send to another port": ("ctx.send('friend.other', 1)", "nothing grants home/code to send to home/friend.other"),
    "send to a stranger's child": ("ctx.send('/home/stranger/child.in', 1)", "nothing grants home/code"),
    "send to a path": ("ctx.send('/home/friend/../stranger.in', 1)", "does not match"),
    "send to itself": ("ctx.send('/home/code.in', 1)", "nothing grants"),
    "call a stranger": ("ctx.call('stranger.in', 1)", "nothing grants home/code to send to home/stranger.in"),
    "call a device": ("ctx.call('lamp.set', 1)", "nothing grants"),
    "create elsewhere": ("ctx.create('/home/stranger/new', {})", "home/stranger/new is not below home/code"),
    "create above": ("ctx.create('/home/new', {})", "home/new is not below home/code"),
    "create by a path": ("ctx.create('../new', {})", "'..'"),
    "be created anew": ("ctx.create('/home/code', {})", "home/code is not below home/code"),
    "remove a stranger": ("ctx.remove('/home/stranger')", "home/stranger is not below home/code"),
    "remove itself": ("ctx.remove('/home/code')", "home/code is not below home/code"),
    "remove all": ("ctx.remove('/home')", "home is not below home/code"),
    "duplicate to elsewhere": ("ctx.duplicate('below', '/home/copy')", "home/copy is not below home/code"),
    "connect elsewhere": ("ctx.connect('/home/stranger', 'in', 'child')", "home/stranger is not below home/code"),
    "disconnect elsewhere": ("ctx.disconnect('/home/stranger', 'in', 'child')", "home/stranger is not below home/code"),
    "pause a stranger": ("ctx.pause('/home/stranger')", "home/stranger is not below home/code"),
    "resume a stranger": ("ctx.resume('/home/stranger')", "home/stranger is not below home/code"),
    "cancel a stranger's run": ("ctx.cancel('/home/stranger', 'x')", "home/stranger is not below home/code"),
}
CODE = """
import edgematrix as em
from typing import Any

async def work(value: Any, ctx: em.Context) -> None:
    await {what}
"""


@pytest.mark.parametrize("tried", TRIED)
def test_code_does_nothing_that_the_tree_does_not_grant(play, tried: str) -> None:
    what, reason = TRIED[tried]
    played = play(MATRIX, [(0, "t/go", 1)], modules={"code": CODE.format(what=what)})
    ended = [run for run in played.of(RunEnded) if run.path == "home/code"]
    assert [run.outcome.value for run in ended] == ["failed"], ended
    (letter,) = [letter for letter in played.of(DeadLettered) if letter.path == "home/code"]
    assert reason in letter.reason
    left = {topic for _, topic, _ in played.told if topic != "t/go"}
    assert {topic for topic in left if not topic.startswith(("em/dead/home/code", "em/state/", "em/host/", "em/trace/"))} == set()


def test_code_does_what_the_tree_grants(play) -> None:
    granted = [
        "ctx.publish('t/told/x', 1)", "ctx.publish('t/all', 1)", "ctx.publish('t/all/a/b', 1)", "ctx.emit('out', 1)",
        "ctx.send('friend.in', 1)", "ctx.send('/home/code/below.in', 1)", "ctx.pause('below')", "ctx.resume('below')",
    ]  # fmt: skip
    played = play(MATRIX, [(0, "t/go", 1)], modules={"code": CODE.format(what="\n    await ".join(granted))})
    assert played.of(DeadLettered) == []
    assert {"t/told/x", "t/all", "t/all/a/b", "em/out/home/code/out"} <= {topic for _, topic, _ in played.told}


@pytest.mark.parametrize(("said", "may"), [("", True), ("publishes: []", False), ("publishes: ['t/#']", True), ("publishes: [t/x]", False)])
def test_code_that_names_no_topics_may_publish_on_any_and_with_none_on_none(play, said: str, may: bool) -> None:
    matrix = MATRIX.replace("publishes: [t/told/+, t/all/#]", said)
    played = play(matrix, [(0, "t/go", 1)], modules={"code": CODE.format(what="ctx.publish('t/y', 1)")})
    assert (played.on("t/y") == [1]) is may


def test_the_check_tells_what_is_wrong_with_it(check: Any) -> None:
    guarded = MATRIX.replace("agents:\n  code", "access: {hosts: [a]}\nagents:\n  code", 1)
    told = check(guarded.replace("    publishes: [t/told/+, t/all/#]\n", ""))
    assert any("the access list grants its code no topics of other systems" in text for text in told)
    assert not any("the access list grants its code" in text for text in check(guarded))
    told = check(MATRIX.replace("t/told/+", "em/#").replace("t/all/#", "t/#/x"))
    assert any("'em/#' reaches topics below em/" in text for text in told)
    assert any("# before its end" in text for text in told)
    told = check(MATRIX.replace("watcher: {", "watcher: {publishes: [t/x], "))
    assert any("it has no code that could publish" in text for text in told)


@pytest.fixture
def check(tmp_path: Any) -> Any:
    from edgematrix.config.agent_tree import AgentTree
    from edgematrix.config.check_publishes import check_publishes
    from edgematrix.config.opening import open_matrix

    def run(matrix: str) -> list[str]:
        (tmp_path / "code.py").write_text(CODE.format(what="ctx.emit('out', 1)"))
        file = tmp_path / "matrix.yaml"
        file.write_text(matrix)
        try:
            spec = open_matrix(file).spec
        except ConfigError as error:
            return str(error).splitlines()
        return [found.what for found in check_publishes(AgentTree.of(spec))]

    return run
