import pytest
from flow_drive import Drive, flow_of, kept

from edgematrix.composition.course import Done, Fail, Failed, Tick

DIAMOND = ["request -> collect", "collect -> analyse, photo", "analyse, photo -> summarise"]
REPORT = [
    *DIAMOND,
    "summarise -> critic",
    {"from": "critic", "to": "summarise", "when": "verdict == 'redo'"},
]


def test_a_diamond_ends_once():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    assert drive.members == ["collect"]
    assert drive.inputs(1) == {"": "go"}
    drive.done("collect", 7)
    assert drive.members == ["collect", "analyse", "photo"]
    drive.done("photo", "p")
    assert len(drive.invoked) == 3
    drive.done("analyse", "a")
    assert drive.inputs(4) == {"": {"analyse": "a", "photo": "p"}}
    assert drive.invoked[3].after == (2, 3)
    assert not drive.over
    drive.done("summarise", "s")
    assert drive.finished == 1
    assert drive.emitted == {"out": "s"}
    drive.hear(drive.course.take(Done(4, {"out": "late"}), 9))
    assert kept(drive.flow) == 0


def test_two_runs_interleaved_at_a_join():
    flow = flow_of(DIAMOND, "collect analyse photo summarise")
    one, two = Drive(flow, runid="r1"), Drive(flow, runid="r2")
    for number, drive in enumerate((one, two), 1):
        drive.done("collect", number)
    one.done("analyse", "a1")
    two.done("photo", "p2")
    assert (len(one.invoked), len(two.invoked)) == (3, 3)
    two.done("analyse", "a2")
    one.done("photo", "p1")
    assert one.inputs(4) == {"": {"analyse": "a1", "photo": "p1"}}
    assert two.inputs(4) == {"": {"analyse": "a2", "photo": "p2"}}
    assert kept(flow) == 0


def test_a_branch_skipped_before_a_join():
    edges = [
        "request -> collect",
        "collect -> analyse",
        {"from": "collect", "to": "photo", "when": "indoors"},
        "analyse, photo -> summarise",
    ]
    drive = Drive(flow_of(edges, "collect analyse photo summarise"))
    drive.done("collect", {"indoors": False})
    assert drive.members == ["collect", "analyse"]
    drive.done("analyse", "a")
    assert drive.inputs(3) == {"": {"analyse": "a"}}
    assert any("goes on without photo" in note for note in drive.notes)
    drive.done("summarise", "s")
    assert drive.emitted == {"out": "s"}


def test_an_agent_that_returns_nothing_skips_its_edges():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    drive.done("collect", 1)
    drive.done("analyse", "a")
    drive.done("photo")
    assert drive.inputs(4) == {"": {"analyse": "a"}}


def test_all_branches_skipped():
    drive = Drive(flow_of([*DIAMOND, "summarise -> print"], "collect analyse photo summarise print"))
    drive.done("collect", 1)
    drive.done("analyse")
    assert not drive.over
    drive.done("photo")
    assert drive.finished == 1
    assert drive.emitted == {}
    assert drive.members == ["collect", "analyse", "photo"]


@pytest.mark.parametrize("value", [None, "", "unknown", False, 0, [], {}])
def test_a_value_that_looks_like_none_is_one(value):
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    drive.done("collect", value)
    drive.done("analyse", value)
    drive.done("photo", value)
    assert drive.inputs(4) == {"": {"analyse": value, "photo": value}}


def test_a_cycle_with_a_join_inside_three_rounds():
    edges = [
        "request -> start",
        "start -> left, right",
        "left, right -> merge",
        {"from": "merge", "to": "start", "when": "value < 3"},
    ]
    drive = Drive(flow_of(edges, "start left right merge", max_steps=50))
    for round_ in (1, 2, 3):
        drive.done("start", round_)
        drive.done("right" if round_ % 2 else "left", f"x{round_}")
        drive.done("left" if round_ % 2 else "right", f"y{round_}")
        parts = (f"y{round_}", f"x{round_}") if round_ % 2 else (f"x{round_}", f"y{round_}")
        assert drive.inputs(len(drive.invoked)) == {"": {"left": parts[0], "right": parts[1]}}
        drive.done("merge", round_)
    assert drive.finished == 1
    assert drive.members == ["start", "left", "right", "merge"] * 3
    assert drive.emitted == {"out": 3}
    assert drive.inputs(5) == {"": {"request": "go", "merge": 1}}
    assert kept(drive.flow) == 0


def test_the_back_edge_fires_alone_with_the_rest_as_last_received():
    drive = Drive(flow_of(REPORT, "collect analyse photo summarise critic", max_steps=20))
    drive.done("collect", 1)
    drive.done("analyse", "a")
    drive.done("photo", "p")
    drive.done("summarise", "s1")
    drive.done("critic", {"verdict": "redo"})
    assert drive.inputs(6) == {"": {"analyse": "a", "photo": "p", "critic": {"verdict": "redo"}}}
    assert drive.invoked[5].after == (2, 3, 5)
    drive.done("summarise", "s2")
    drive.done("critic", {"verdict": "good"})
    assert drive.finished == 1
    assert drive.emitted == {"out": {"verdict": "good"}}


def test_an_output_is_the_last_value_of_its_member():
    drive = Drive(flow_of(REPORT, "collect analyse photo summarise critic", max_steps=20, outputs={"summary": "summarise", "mode": None}))
    drive.done("collect", 1)
    drive.done("analyse", "a")
    drive.done("photo", "p")
    drive.done("summarise", "s1")
    assert drive.emitted == {}
    drive.done("critic", {"verdict": "redo"})
    drive.done("summarise", "s2")
    drive.done("critic", {"verdict": "good"})
    assert drive.emitted == {"summary": "s2"}


def test_an_edge_into_an_output():
    drive = Drive(flow_of(["request -> a", "a -> b, summary", "b.log -> protocol"], "a b", outputs={"summary": None, "protocol": None}))
    drive.done("a", 1)
    assert drive.invoked[1].wanted == {"log"}
    drive.done("b", log="written")
    assert drive.emitted == {"summary": 1, "protocol": "written"}


def test_an_input_may_lead_straight_to_an_output():
    drive = Drive(flow_of(["request -> a, echo"], "a", outputs={"echo": None}))
    drive.done("a", 1)
    assert drive.emitted == {"echo": "go"}


def test_cancelling_a_run_in_the_middle_of_a_fan_out():
    flow = flow_of(DIAMOND, "collect analyse photo summarise")
    other = Drive(flow, runid="other")
    drive = Drive(flow)
    for one in (other, drive):
        one.done("collect", 1)
        one.done("analyse", "a")
    assert kept(flow) == 2
    assert drive.course.close() == ()
    assert drive.course.close() == ()
    assert kept(flow) == 1
    drive.open.clear()
    assert drive.course.take(Done(3, {"out": "p"}), 0) == []
    other.done("photo", "p")
    assert other.inputs(4) == {"": {"analyse": "a", "photo": "p"}}
    assert kept(flow) == 0


def test_fan_out_to_a_list():
    names = [f"m{number}" for number in range(20)]
    drive = Drive(flow_of([f"request -> {', '.join(names)}", f"{', '.join(names)} -> all"], " ".join([*names, "all"])))
    assert drive.members == names
    for name in reversed(names):
        drive.done(name, name)
    assert drive.inputs(21) == {"": {name: name for name in names}}


def test_a_chain_of_stations_is_edges_pairwise():
    drive = Drive(flow_of(["request -> a, b -> c -> d"], "a b c d"))
    assert drive.members == ["a", "b"]
    drive.done("a", 1)
    drive.done("b", 2)
    drive.done("c", 3)
    assert drive.inputs(4) == {"": 3}


def test_a_member_that_fails():
    flow = flow_of(DIAMOND, "collect analyse photo summarise")
    drive = Drive(flow)
    drive.done("collect", 1)
    drive.done("analyse", "a")
    drive.fail("photo", "no film")
    assert drive.failed == Fail("no film", "photo")
    assert drive.emitted == {}
    drive.course.close()
    assert kept(flow) == 0
    assert drive.course.take(Done(2, {"out": 1}), 0) == []


def test_max_steps():
    edges = ["request -> a", {"from": "a", "to": "a", "when": "true"}]
    drive = Drive(flow_of(edges, "a", max_steps=3))
    for number in range(3):
        drive.done("a", number)
    assert drive.failed is not None
    assert drive.failed.member == "a"
    assert "max_steps (3)" in drive.failed.reason
    assert len(drive.invoked) == 3


def test_the_deadline():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise", deadline="2m"), now_us=1_000_000)
    assert drive.course.deadline_us == 121_000_000
    assert drive.course.take(Tick(), 120_999_999) == []
    drive.done("collect", 1)
    drive.done("analyse", 1)
    drive.hear(drive.course.take(Tick(), 121_000_000))
    assert drive.failed is not None
    assert "deadline of 2m" in drive.failed.reason
    assert "photo (step 3) works; summarise waits for photo" in drive.failed.reason


def test_a_flow_without_a_deadline_has_none():
    drive = Drive(flow_of(["request -> a"], "a"))
    assert drive.course.deadline_us is None
    assert drive.course.take(Tick(), 10**15) == []


def test_the_exit_of_a_loop_leads_to_a_join_outside():
    edges = [
        "request -> draft, title",
        "draft -> check",
        {"from": "check", "to": "draft", "when": "value < 3"},
        {"from": "check", "to": "print", "when": "value >= 3"},
        "title -> print",
    ]
    drive = Drive(flow_of(edges, "draft title check print", max_steps=20))
    drive.done("title", "t")
    for number in (1, 2, 3):
        assert "print" not in drive.members, "the loop goes on, so what it gives may still come"
        drive.done("draft", "d")
        drive.done("check", number)
    assert drive.inputs(len(drive.invoked)) == {"": {"check": 3, "title": "t"}}
    drive.done("print", "done")
    assert drive.emitted == {"out": "done"}


def test_a_loop_that_ends_without_its_exit_lets_the_join_outside_go_on():
    edges = [
        "request -> draft, title",
        {"from": "draft", "to": "draft", "when": "value < 2"},
        {"from": "draft", "to": "print", "when": "false"},
    ]
    drive = Drive(flow_of([*edges, "title -> print"], "draft title print", max_steps=20))
    drive.done("title", "t")
    drive.done("draft", 1)
    assert drive.members == ["draft", "title", "draft"]
    drive.done("draft", 2)
    assert drive.inputs(4) == {"": {"title": "t"}}


def test_a_self_loop():
    drive = Drive(flow_of(["request -> count", {"from": "count", "to": "count", "when": "value < 3"}], "count", max_steps=9))
    drive.done("count", 1)
    assert drive.inputs(2) == {"": {"request": "go", "count": 1}}
    drive.done("count", 2)
    drive.done("count", 3)
    assert drive.emitted == {"out": 3}
    assert drive.members == ["count"] * 3


NESTED = [
    "request -> outer",
    "outer -> inner, aside",
    "inner -> test",
    {"from": "test", "to": "inner", "when": "value % 2 == 1"},
    {"from": "test", "to": "merge", "when": "value % 2 == 0"},
    "aside -> merge",
    {"from": "merge", "to": "outer", "when": "value < 2"},
]


def test_nested_loops():
    drive = Drive(flow_of(NESTED, "outer inner aside test merge", max_steps=50))
    for round_ in (1, 2):
        drive.done("outer", round_)
        assert drive.inputs(drive.step_of("inner")) == {"": {"outer": round_}}, "the inner loop begins anew"
        drive.done("aside", f"s{round_}")
        drive.done("inner", 0)
        drive.done("test", 1)
        assert drive.inputs(drive.step_of("inner")) == {"": {"outer": round_, "test": 1}}
        drive.done("inner", 0)
        assert "merge" not in drive.open.values()
        drive.done("test", 2)
        assert drive.inputs(drive.step_of("merge")) == {"": {"test": 2, "aside": f"s{round_}"}}
        drive.done("merge", round_)
    assert drive.finished == 1
    assert drive.emitted == {"out": 2}
    assert kept(drive.flow) == 0


def test_a_new_round_drops_what_the_round_before_has_left():
    edges = ["request -> a", "a -> b, c", "b, c -> d", {"from": "c, d", "to": "a", "when": "value == 'again'"}]
    drive = Drive(flow_of(edges, "a b c d", max_steps=20))
    drive.done("a", 1)
    drive.done("b", "b1")
    assert drive.course.waits_for() == "c (step 3) works; d waits for c"
    drive.done("c", "again")
    assert drive.members == ["a", "b", "c", "d", "a"], "the forward edge was taken too"
    drive.done("d", "d1")
    drive.done("a", 2)
    drive.done("c", "again")
    assert any("drops what it has from c" in note for note in drive.notes)
    old = drive.step_of("b")
    drive.done("a", 3)
    drive.done(old, "b2")
    assert any("counts no more" in note for note in drive.notes)
    assert "d" not in drive.open.values()
    drive.done("c", "c3")
    drive.done("b", "b3")
    assert drive.inputs(drive.step_of("d")) == {"": {"b": "b3", "c": "c3"}}
    drive.done("d", "d3")
    assert drive.emitted == {"out": "d3"}


def test_a_join_in_a_loop_reuses_what_came_from_outside():
    edges = [
        "request -> work, style",
        "work -> render",
        "style -> render",
        {"from": "render", "to": "work", "when": "value < 3", "loop": True},
    ]
    drive = Drive(flow_of(edges, "work style render", max_steps=20))
    drive.done("style", "bold")
    for number in (1, 2, 3):
        drive.done("work", f"w{number}")
        assert drive.inputs(drive.step_of("render")) == {"": {"work": f"w{number}", "style": "bold"}}
        drive.done("render", number)
    assert drive.finished == 1
    assert drive.members.count("style") == 1
    assert kept(drive.flow) == 0


def test_a_value_from_outside_fires_in_a_round_that_gives_nothing_else():
    edges = [
        "request -> work, style",
        {"from": "work", "to": "render", "when": "value > 1"},
        {"from": "work", "to": "pause", "when": "value == 1"},
        "style -> render",
    ]
    flow = flow_of(
        [*edges, {"from": "render, pause", "to": "work", "when": "value == 'more'", "loop": True}],
        "work style render pause",
        max_steps=20,
        outputs={"x": "render"},
    )
    drive = Drive(flow)
    drive.done("work", 1)
    drive.done("style", "bold")
    assert "render" in drive.members, "nothing more comes in this round"
    drive.done("render", "r1")
    drive.done("pause", "more")
    drive.done("work", 2)
    assert drive.inputs(drive.step_of("render")) == {"": {"work": 2, "style": "bold"}}


def test_what_came_from_outside_and_was_not_used_waits_into_the_next_round():
    edges = ["request -> work, style", "work -> a, b", "a, style -> render"]
    back = {"from": "b, render", "to": "work", "when": "value == 'again'", "loop": True}
    drive = Drive(flow_of([*edges, back], "work style a b render", max_steps=20, outputs={"out": "render"}))
    drive.done("work", 1)
    drive.done("style", "bold")
    drive.done("b", "again")
    drive.done("a", "of the first round")
    drive.done("work", 2)
    assert "render" not in drive.members
    drive.done("a", "of the second")
    assert drive.inputs(drive.step_of("render")) == {"": {"a": "of the second", "style": "bold"}}
    drive.done("b", "no")
    drive.done("render", "done")
    assert drive.emitted == {"out": "done"}


def test_reused_values_alone_fire_nothing():
    edges = ["request -> work, style", {"from": "work", "to": "render", "when": "value != 2"}, "style -> render"]
    back = [{"from": "work", "to": "work", "when": "value < 2"}, {"from": "render", "to": "work", "when": "value == 'more'", "loop": True}]
    drive = Drive(flow_of([*edges, *back], "work style render", max_steps=20))
    drive.done("style", "bold")
    drive.done("work", 3)
    drive.done("render", "more")
    drive.done("work", 2)
    assert drive.finished == 1
    assert drive.members == ["work", "style", "render", "work"]


def test_a_member_twice_at_once():
    edges = ["request -> tick", {"from": "tick", "to": "tick", "when": "value < 3"}, "tick -> slow", "slow -> slower"]
    drive = Drive(flow_of(edges, "tick slow slower", max_steps=20))
    for number in (1, 2, 3):
        drive.done("tick", number)
    assert list(drive.open.values()) == ["slow"] * 3
    assert [drive.inputs(step)[""] for step in drive.open] == [1, 2, 3]
    first, second, third = drive.open
    drive.done(second, "b")
    drive.done(third, "c")
    drive.done(first, "a")
    assert [drive.inputs(step)[""] for step in drive.open] == ["b", "c", "a"]
    for step in list(drive.open)[1:]:
        drive.done(step, f"of {step}")
    drive.done("slower", "of the first")
    assert drive.emitted == {"out": f"of {len(drive.invoked)}"}, "an earlier step does not undo a later one"


def test_ports_of_members():
    edges = ["request -> a", "a.left -> b.x", "a.right -> b.x, b.y"]
    drive = Drive(flow_of(edges, "a b"))
    assert drive.invoked[0].wanted == {"left", "right"}
    drive.done("a", left=1, right=2)
    assert drive.inputs(2) == {"x": {"a.left": 1, "a.right": 2}, "y": 2}


def test_a_port_without_a_value_is_a_branch_not_taken():
    drive = Drive(flow_of(["request -> a", "a.left -> b.x", "a.right -> b.y"], "a b"))
    drive.done("a", left=1)
    assert drive.inputs(2) == {"x": 1}
    assert any("nothing came on `a.right`" in note for note in drive.notes)


def test_several_inputs_and_one_that_has_no_value():
    flow = flow_of(["text, image -> a"], "a", inputs="text image")
    assert Drive(flow, {"text": "t", "image": "i"}).inputs(1) == {"": {"text": "t", "image": "i"}}
    assert Drive(flow, {"text": "t"}).inputs(1) == {"": {"text": "t"}}
    assert Drive(flow, {}).finished == 1


def test_a_condition_of_an_input():
    flow = flow_of([{"from": "request", "to": "a", "when": "size(value) > 1"}], "a")
    assert Drive(flow, {"request": "go"}).members == ["a"]
    assert Drive(flow, {"request": "g"}).finished == 1


def test_a_condition_that_cannot_be_judged_is_false_and_says_why():
    drive = Drive(flow_of(["request -> a", {"from": "a", "to": "b", "when": "state.level > 3"}], "a b"))
    drive.done("a", {"state": "none"})
    assert drive.finished == 1
    assert any("cannot be judged" in note and "a -> b" in note for note in drive.notes)


def test_a_condition_that_is_false_is_noted():
    drive = Drive(flow_of(["request -> a", {"from": "a", "to": "b", "when": "level > 3"}], "a b"))
    drive.done("a", {"level": 2})
    assert any("`a -> b` is not taken" in note and "level > 3" in note for note in drive.notes)


def test_unknown_steps_do_nothing():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    assert drive.course.take(Done(9, {"out": 1}), 0) == []
    assert drive.course.take(Failed(9, "x"), 0) == []
    drive.done("collect", 1)
    assert drive.course.take(Done(1, {"out": 1}), 0) == []


def test_joins_one_after_another_all_skip():
    edges = ["request -> a", {"from": "a", "to": "b, c", "when": "value > 1"}, "b, c -> d", "a, d -> e", "b, e -> f"]
    drive = Drive(flow_of(edges, "a b c d e f"))
    drive.done("a", 1)
    assert drive.members == ["a", "e"]
    drive.done("e", 2)
    assert drive.inputs(3) == {"": {"e": 2}}


def test_a_branch_skipped_in_a_loop_does_not_wait_for_the_next_round():
    edges = [
        "request -> a",
        {"from": "a", "to": "b", "when": "value > 1"},
        "a -> c, slow",
        "b, c -> d",
        "d, slow -> e",
        {"from": "e", "to": "a", "when": "value == 'again'"},
    ]
    drive = Drive(flow_of(edges, "a b c slow d e", max_steps=30))
    drive.done("a", 1)
    drive.done("c", "c1")
    assert "d" in drive.open.values(), "`b` can give nothing in this round, though `slow` leads round the loop"


def test_a_way_in_that_is_declared_to_lead_back():
    edges = ["request -> a, b", "a -> b", {"from": "b", "to": "a", "loop": True, "when": "value < 2"}]
    drive = Drive(flow_of(edges, "a b", max_steps=9))
    drive.done("a", 1)
    assert drive.inputs(2) == {"": {"request": "go", "a": 1}}
    drive.done("b", 1)
    assert drive.inputs(3) == {"": {"request": "go", "b": 1}}
    drive.done("a", 2)
    assert drive.inputs(4) == {"": {"request": "go", "a": 2}}
    drive.done("b", 2)
    assert drive.finished == 1


def test_waits_for_says_what_works_and_what_waits():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    assert drive.course.waits_for() == "collect (step 1) works"
    drive.done("collect", 1)
    drive.done("analyse", 1)
    assert drive.course.waits_for() == "photo (step 3) works; summarise waits for photo"
    drive.done("photo", 1)
    drive.done("summarise", 1)
    assert drive.course.waits_for() == "nothing, it is over"


def test_waiting_joins_are_traced():
    drive = Drive(flow_of(DIAMOND, "collect analyse photo summarise"))
    drive.done("collect", 1)
    drive.done("analyse", 1)
    assert any("`summarise`" in note and "waits for `photo`" in note for note in drive.notes)


def test_a_new_round_of_the_outer_loop_forgets_what_led_back_in_the_inner_one():
    edges = [
        "request -> outer -> inner -> left, right",
        {"from": "left, right", "to": "inner", "when": "value == 'again'"},
        {"from": "right", "to": "outer", "when": "value == 'next'"},
    ]
    drive = Drive(flow_of(edges, "outer inner left right", max_steps=30, outputs={"out": "right"}))
    drive.done("outer", "o1")
    drive.done("inner", "i1")
    drive.done("right", "again")
    assert drive.inputs(drive.step_of("inner")) == {"": {"outer": "o1", "right": "again"}}
    drive.done("inner", "i2")
    drive.done("right", "next")
    drive.done("outer", "o2")
    assert drive.inputs(drive.step_of("inner")) == {"": {"outer": "o2"}}
    drive.done("inner", "i3")
    drive.done([step for step, member in drive.open.items() if member == "left"][-1], "again")
    assert drive.inputs(drive.step_of("inner")) == {"": {"outer": "o2", "left": "again"}}


def test_a_step_that_leads_back_in_two_loops_begins_the_outer_one():
    edges = ["request -> outer -> inner -> test", {"from": "test", "to": "inner, outer", "when": "value == 'both'"}]
    drive = Drive(flow_of(edges, "outer inner test", max_steps=30))
    drive.done("outer", 1)
    drive.done("inner", 1)
    drive.done("test", "both")
    assert drive.members == ["outer", "inner", "test", "inner", "outer"]
    drive.done("inner", "of the round before")
    assert drive.members[5:] == []
    drive.done("outer", 2)
    drive.done("inner", 2)
    drive.done("test", "end")
    assert drive.emitted == {"out": "end"}


def test_joins_that_wait_for_one_another_go_on():
    """Two joins, each in a loop that leads back past the other: nothing works, so nothing more would come to either."""
    edges = [
        "request -> m3, m4",
        "m1 -> m3",
        {"from": "m2.to_m0", "to": "m0", "loop": True},
        {"from": "m2.to_m1", "to": "m1", "loop": True},
        "m2.to_m4, m3.to_m4 -> m4",
        {"from": "m3.to_m0", "to": "m0", "loop": True},
        {"from": "m4.to_m2", "to": "m2", "loop": True},
    ]
    drive = Drive(flow_of(edges, "m0 m1 m2 m3 m4", max_steps=60, outputs={"x": "m0"}))
    assert drive.members == ["m3"], "the first of the two in topological order"
    drive.done("m3", to_m0=1, to_m4=1)
    drive.done("m4", to_m2=1)
    drive.done("m0", 1)
    drive.done("m2")
    assert drive.finished == 1
