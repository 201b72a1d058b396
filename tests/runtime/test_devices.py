"""Devices in a matrix: what they report, and what they may be told."""

from edgematrix.runtime.observation import DeadLettered
from edgematrix.testing.simulator import Restart

HOUSE = """
matrix: home
agents:
  motion:
    device:
      reads: {occupied: {topic: z/motion, value: occupancy}, battery: {topic: z/motion, value: battery}}
      availability: {topic: z/motion/availability, value: state}
  lamp:
    device:
      writes:
        set: {topic: z/lamp/set, schema: {type: object}, range: {brightness: [0, 100]}, rate: {count: 3, per: 1m}, dwell: 2s}
  rule:
    triggers:
      on: {on: {m: {from: motion.occupied, equals: true}}, do: [{send: {to: lamp.set, payload: {brightness: 50}}}]}
      raw: {on: {v: {topic: t/wanted}}, mode: parallel, do: [{send: {to: lamp.set, payload: {brightness: "${v.value}"}}}]}
      show: {on: {b: {from: motion.battery, role: live}, go: {topic: t/show}}, do: [{publish: {topic: t/battery, payload: "${b.value}"}}]}
  helper:
    sentences:
      slots: {lamp: {"the light": lamp, the lamp: lamp}}
      rules:
        - {say: ["turn on {lamp}", "{lamp} on"], send: {to: "${lamp}.set", payload: {brightness: 100}}, answer: done}
"""


def test_a_reading_is_an_output_that_a_rule_reads(play) -> None:
    played = play(HOUSE, [(1, "z/motion", {"occupancy": True, "battery": 90}), (2, "z/motion", {"occupancy": True, "battery": 89})])
    assert played.on("em/out/home/motion/occupied") == [True, True]
    assert played.on("em/out/home/motion/battery") == [90, 89]
    assert played.on("z/lamp/set") == [{"brightness": 50}]


def test_a_device_that_is_away_has_no_known_values(play) -> None:
    played = play(
        HOUSE,
        [
            (1, "z/motion", {"occupancy": True, "battery": 90}),
            (2, "t/show", 1),
            (3, "z/motion/availability", {"state": "offline"}),
            (4, "z/motion", {"occupancy": False, "battery": 10}),
            (5, "t/show", 1),
            (6, "z/motion/availability", {"state": "online"}),
            (7, "z/motion", {"occupancy": False, "battery": 80}),
            (8, "t/show", 1),
        ],
    )
    assert played.on("em/out/home/motion/battery") == [90, None, None, 80]
    assert played.on("t/battery") == [90, 90, 80]


def test_a_command_out_of_range_is_a_dead_letter_with_the_reason(play) -> None:
    played = play(HOUSE, [(1, "t/wanted", 101), (10, "t/wanted", "bright")])
    assert played.on("z/lamp/set") == []
    reasons = [letter.reason for letter in played.of(DeadLettered)]
    assert "`brightness` is 101; allowed are 0 to 100" in reasons[0]
    assert "`brightness` is no number" in reasons[1]


def test_the_newest_command_within_the_dwell_is_held_and_beyond_the_rate_refused(play) -> None:
    played = play(HOUSE, [(1, "t/wanted", 10), (1.5, "t/wanted", 20), (2, "t/wanted", 30), (10, "t/wanted", 40), (20, "t/wanted", 50)])
    assert [(at, payload["brightness"]) for at, topic, payload in played.told if topic == "z/lamp/set"] == [(1, 10), (3, 30), (10, 40)]
    reasons = [letter.reason for letter in played.of(DeadLettered)]
    assert "newer command" in reasons[0]
    assert "more than 3 commands in 1m" in reasons[1]


def test_a_sentence_becomes_a_command(play) -> None:
    matrix = HOUSE.replace(
        "  helper:", "  phone: {triggers: {t: {on: {s: {topic: t/say}}, do: [{send: {to: helper.say, payload: '${s.value}'}}]}}}\n  helper:"
    )
    played = play(matrix, [(1, "t/say", "Turn on the light!"), (10, "t/say", "make me a coffee"), (11, "t/say", 7)])
    assert played.on("z/lamp/set") == [{"brightness": 100}]
    assert [told["answer"] for told in played.on("em/out/home/helper/out")] == ["done"]
    assert [told["text"] for told in played.on("em/out/home/helper/unknown")] == ["make me a coffee"]
    assert "expected a sentence" in played.of(DeadLettered)[0].reason


def test_nobody_but_its_agent_publishes_to_a_device(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
          sly: {triggers: {t: {on: {x: {topic: "t/{what}"}}, do: [{publish: {topic: "z/${captures.what}/set", payload: on}}]}}}
        """,
        [(1, "t/lamp", 1), (2, "t/fan", 1)],
    )
    assert played.on("z/lamp/set") == []
    assert played.on("z/fan/set") == ["on"]
    assert "belongs to the agent of a device" in played.of(DeadLettered)[0].reason


def test_a_restart_lets_nobody_tell_a_device_more(play) -> None:
    matrix = """
matrix: home
agents:
  bell: {device: {writes: {ring: {topic: z/bell, rate: {count: 2, per: 1m}}}}}
  blind: {device: {writes: {set: {topic: z/blind, dwell: 20s}}}}
"""
    rings = [(at, "em/in/home/bell/ring", at) for at in (1, 2, 12, 13, 70)]
    moves = [(at, "em/in/home/blind/set", at) for at in (1, 12)]
    said = sorted([*rings, *moves], key=lambda one: one[0])
    for restarts in ([], [Restart(10_000_000)], [Restart(5_000_000), Restart(11_000_000, 500_000)]):
        played = play(matrix, said, 100, restarts=restarts)
        assert played.on("z/bell") == [1, 2, 70]
        assert [(at, payload) for at, topic, payload in played.told if topic == "z/blind"] == [(1, 1), (21, 12)]
