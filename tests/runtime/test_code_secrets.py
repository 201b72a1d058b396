"""Code that asks for secrets, in a simulation: there each is its own name in angle brackets."""

from edgematrix.runtime.observation import DeadLettered, Published

MATRIX = """
matrix: home
agents:
  door: {python: "door:%s", secrets: [door_pin], triggers: {t: {on: {x: {topic: t/x}}}}}
  ear: {triggers: {t: {on: {w: {from: door}}, do: [{publish: {topic: t/heard, payload: "${w.value}"}}]}}}
"""

MODULE = """
import edgematrix as em

async def publishes(value: object, ctx: em.Context) -> str:
    pin = ctx.secret("door_pin")
    await ctx.publish("lock/set", {"pin": pin.reveal(), "shown": str(pin)})
    return f"published {pin}"

async def puts_out(value: object, ctx: em.Context) -> object:
    return {"pin": ctx.secret("door_pin").reveal()}

async def gives_itself(value: object, ctx: em.Context) -> object:
    return [ctx.secret("door_pin")]

async def wants_another(value: object, ctx: em.Context) -> object:
    return ctx.secret("garage_pin").reveal()

async def gives(value: object, ctx: em.Context) -> None:
    await ctx.create("child", {"agents": {"thief": {"python": "door:says_it", "secrets": ["garage_pin"]}}})

async def has_a_child(value: object, ctx: em.Context) -> str:
    await ctx.create("child", {"python": "door:in_a_thread", "secrets": ["door_pin"], "inputs": {"in": "any"}})
    return await ctx.call("/home/door/child", 1)

async def retains(value: object, ctx: em.Context) -> None:
    await ctx.publish("lock/set", ctx.secret("door_pin").reveal(), retain=True)

async def names_a_topic(value: object, ctx: em.Context) -> None:
    await ctx.publish("lock/" + ctx.secret("door_pin").reveal(), 1)

async def says_it(value: object, ctx: em.Context) -> None:
    raise ValueError(ctx.secret("door_pin").reveal())

def in_a_thread(value: object, ctx: em.Context) -> str:
    return "*" * len(ctx.secret("door_pin").reveal())
"""


def reasons(play, function: str) -> list[str]:
    played = play(MATRIX % function, [(1, "t/x", 1)], modules={"door": MODULE})
    assert played.on("t/heard") == played.on("lock/set") == []
    return [letter.reason for letter in played.of(DeadLettered)]


def test_a_pin_goes_to_the_lock_and_is_not_told(play) -> None:
    played = play(MATRIX % "publishes", [(1, "t/x", 1)], modules={"door": MODULE})
    assert played.on("lock/set") == [{"pin": "<door_pin>", "shown": "***"}]
    assert [seen.value for seen in played.of(Published) if seen.topic == "lock/set"] == [{"pin": "***", "shown": "***"}]
    assert played.on("t/heard") == ["published ***"]


def test_what_would_be_on_the_bus_is_refused_by_the_secrets_name(play) -> None:
    for function in ("puts_out", "gives_itself"):
        (reason,) = reasons(play, function)
        assert "what the function returned holds the secret 'door_pin'" in reason
    (reason,) = reasons(play, "retains")
    assert "holds a secret, and the broker would keep it" in reason
    (reason,) = reasons(play, "names_a_topic")
    assert "the topic holds the secret 'door_pin'" in reason


def test_an_agent_has_no_secrets_but_its_own(play) -> None:
    (reason,) = reasons(play, "wants_another")
    assert "home/door may not have the secret 'garage_pin' (name it in the agent's `secrets`)" in reason
    played = play(MATRIX.replace("secrets: [door_pin], ", "") % "publishes", [(1, "t/x", 1)], modules={"door": MODULE})
    assert "may not have the secret 'door_pin'" in played.of(DeadLettered)[0].reason


def test_code_gives_no_secrets_but_its_own_to_agents_that_it_creates(play) -> None:
    (reason,) = reasons(play, "gives")
    assert "home/door may not have the secret 'garage_pin', and give it to nobody" in reason
    played = play(MATRIX % "has_a_child", [(1, "t/x", 1)], modules={"door": MODULE})
    assert played.on("t/heard") == ["*" * len("<door_pin>")], played.of(DeadLettered)


def test_why_a_run_failed_is_told_without_the_value(play) -> None:
    assert reasons(play, "says_it") == ["ValueError: ***"]


def test_code_in_a_thread_has_secrets_too(play) -> None:
    assert play(MATRIX % "in_a_thread", [(1, "t/x", 1)], modules={"door": MODULE}).on("t/heard") == ["*" * len("<door_pin>")]
