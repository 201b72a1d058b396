"""What every transport does, whatever bus is below it. One suite; each bus inherits it and says what it cannot do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from listening import Client, Ears, clients, run

from edgematrix.errors import QueueFullError, TopicError, UsageError
from edgematrix.protocol.message import Publication
from edgematrix.transport.connection import Backoff

QUICK = Backoff(first_s=0.02, longest_s=0.2)


class TransportBehaviour:
    """Inherited by a class for each bus, which gives a fixture `place`.

    A place makes transports by name (`transport(name, **settings)`), publishes as somebody else (`outside`), and breaks the
    connection of a client (`cut`).
    """

    expires = True
    redelivers_first = True
    knows_no_local = True

    def test_a_message_arrives_with_the_lower_of_the_two_qualities(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                two.transport.subscribe({"a/q0": 0, "a/q1": 1})
                await place.settled(two)
                for topic in ("a/q0", "a/q1"):
                    for qos in (0, 1):
                        one.transport.publish(Publication(topic, b"%d" % qos, qos))
                await two.ears.until(lambda ears: len(ears.messages) == 4)
                assert sorted(two.ears.messages) == [
                    ("a/q0", b"0", 0, False),
                    ("a/q0", b"1", 0, False),
                    ("a/q1", b"0", 0, False),
                    ("a/q1", b"1", 1, False),
                ]

        run(test())

    def test_who_publishes_hears_itself(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.subscribe({"a": 1})
                await place.settled(one)
                one.transport.publish(Publication("a", b"x", 1))
                await one.heard(b"x")

        run(test())

    def test_what_a_client_publishes_itself_may_be_unwanted_on_a_filter(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", "two", not_ours=frozenset({"a/#"})) as (one, two):
                one.transport.subscribe({"a/#": 1, "b": 1})
                await place.settled(one)
                one.transport.publish(Publication("a/1", b"own", 1))
                two.transport.publish(Publication("a/1", b"other", 1))
                one.transport.publish(Publication("b", b"own too", 1))
                await one.ears.until(lambda ears: {b"other", b"own too"} <= set(ears.payloads))
                assert (b"own" in one.ears.payloads) is not self.knows_no_local

        run(test())

    def test_filters_asked_for_before_the_connection_hold(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one")
            transport.subscribe({"a/+": 0, "b/#": 0, "c": 0})
            transport.unsubscribe(["c"])
            one = Client(transport, Ears())
            await one.online()
            await place.settled(one)
            for topic in ("a/1", "a/1/2", "b", "b/1/2", "c"):
                transport.publish(Publication(topic, topic.encode()))
            await one.heard(b"a/1", b"b", b"b/1/2")
            await one.close()

        run(test())

    def test_wildcards_do_not_match_topics_that_begin_with_a_dollar_sign(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.subscribe({"#": 0, "$em/+": 0})
                await place.settled(one)
                for topic in ("$em/1", "$other/1", "plain"):
                    one.transport.publish(Publication(topic, topic.encode()))
                await one.ears.until(lambda ears: b"plain" in ears.payloads)
                assert sorted(one.ears.payloads) == [b"$em/1", b"plain"]

        run(test())

    @pytest.mark.parametrize("payload", [b"", b"\x00\xff", "grün".encode(), bytes(127), bytes(128), bytes(20_000), bytes(250_000)], ids=len)
    def test_payloads_travel_byte_for_byte(self, place: Any, payload: bytes) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.subscribe({"ä/öx": 1})
                await place.settled(one)
                for qos in (0, 1):
                    one.transport.publish(Publication("ä/öx", payload, qos))
                await one.heard(payload, payload)

        run(test())

    @pytest.mark.parametrize("qos", [0, 1])
    def test_order_holds(self, place: Any, qos: int) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                two.transport.subscribe({"a": 1})
                await place.settled(two)
                expected = [b"%d" % number for number in range(1000)]
                for number, payload in enumerate(expected):
                    one.transport.publish(Publication("a", payload, qos))
                    if number % 100 == 99:
                        await asyncio.sleep(0)
                await two.heard(*expected)

        run(test())

    def test_a_retained_message_greets_who_comes_later_and_is_cleared_by_an_empty_one(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                one.transport.subscribe({"r/1": 1})
                await place.settled(one)
                one.transport.publish(Publication("r/1", b"old", 1, retain=True))
                one.transport.publish(Publication("r/1", b"new", 1, retain=True))
                await one.heard(b"old", b"new")
                assert [message[3] for message in one.ears.messages] == [False, False]
                two.transport.subscribe({"r/#": 1})
                await two.ears.until(lambda ears: ears.messages == [("r/1", b"new", 1, True)])
                one.transport.publish(Publication("r/1", b"", 1, retain=True))
                await two.heard(b"new", b"")
                async with clients(place, "three") as (three,):
                    three.transport.subscribe({"r/1": 0})
                    await place.settled(three)
                    assert three.ears.messages == []

        run(test())

    @pytest.mark.parametrize(
        "filters",
        [
            {"o/#": 0, "o/a/b": 1},
            {"o/a/b": 1, "o/#": 0},
            {"o/+/b": 1, "o/a/+": 1, "+/a/b": 0},
            {"#": 1, "o/a/b": 0, "o/a/#": 1, "o/+/+": 1},
        ],
        ids=str,
    )
    def test_overlapping_filters_bring_each_message_once_with_the_best_quality(self, place: Any, filters: dict[str, int]) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                two.transport.subscribe(filters)
                await place.settled(two)
                expected = [b"%d" % number for number in range(50)]
                for number, payload in enumerate(expected):
                    one.transport.publish(Publication("o/a/b", payload, 1))
                    one.transport.publish(Publication("o/x/y" if number % 2 else "z/z", payload, 0))
                await two.ears.until(lambda ears: sum(topic == "o/a/b" for topic, *_ in ears.messages) >= 50)
                await place.settled(two)
                ours = [(payload, qos) for topic, payload, qos, _ in two.ears.messages if topic == "o/a/b"]
                assert ours == [(payload, 1) for payload in expected]
                others = [topic for topic, *_ in two.ears.messages if topic != "o/a/b"]
                assert len(others) == (50 if "#" in filters else 25 if "o/#" in filters or "o/+/+" in filters else 0)

        run(test())

    def test_a_filter_that_is_added_later_brings_its_retained_messages_and_no_copies(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                for topic in ("s/1", "s/2"):
                    one.transport.publish(Publication(topic, topic.encode(), 1, retain=True))
                await place.settled(one)
                two.transport.subscribe({"s/+": 1})
                await two.ears.until(lambda ears: len(ears.messages) == 2)
                two.transport.subscribe({"s/1": 1, "+/1": 0})
                await two.ears.until(lambda ears: len(ears.messages) == 3)
                await place.settled(two)
                assert sorted(two.ears.messages) == [("s/1", b"s/1", 1, True), ("s/1", b"s/1", 1, True), ("s/2", b"s/2", 1, True)]
                one.transport.publish(Publication("s/1", b"live", 1))
                one.transport.publish(Publication("x/1", b"last", 1))
                await two.ears.until(lambda ears: b"last" in ears.payloads)
                await place.settled(two)
                assert two.ears.payloads.count(b"live") == 1

        run(test())

    def test_what_is_no_longer_asked_for_is_no_longer_heard(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.subscribe({"u/#": 1, "u/1": 1, "v": 1})
                await place.settled(one)
                one.transport.unsubscribe(["u/#"])
                await place.settled(one)
                for topic in ("u/1", "u/2", "v"):
                    one.transport.publish(Publication(topic, topic.encode(), 1))
                await one.ears.until(lambda ears: len(ears.messages) >= 2)
                await place.settled(one)
                # NATS keeps order within a filter only.
                assert sorted(one.ears.payloads) == [b"u/1", b"v"]

        run(test())

    def test_a_durable_session_keeps_what_comes_while_its_client_is_away(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "other") as (other,):
                async with clients(place, "one", session_expiry_s=60) as (one,):
                    one.transport.subscribe({"d/#": 1})
                    await place.settled(one)
                    assert one.ears.connections == [False]
                for number in range(100):
                    other.transport.publish(Publication("d/1", b"%d" % number, 1))
                other.transport.publish(Publication("d/1", b"unassured", 0))
                await place.settled(other)
                back = Client(place.transport("one", session_expiry_s=60), Ears())
                await back.online()
                await back.ears.until(lambda ears: len(ears.messages) >= 100)
                await place.settled(back)
                assert back.ears.connections == [True]
                assert back.ears.payloads == [b"%d" % number for number in range(100)]
                await back.close()

        run(test())

    def test_without_a_durable_session_one_begins_anew(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "other") as (other,):
                async with clients(place, "one") as (one,):
                    one.transport.subscribe({"d/#": 1})
                    await place.settled(one)
                other.transport.publish(Publication("d/1", b"missed", 1))
                await place.settled(other)
                async with clients(place, "one") as (one,):
                    await place.settled(one)
                    assert one.ears.connections == [False]
                    assert one.ears.messages == []

        run(test())

    def test_the_will_is_published_when_a_client_dies_and_not_when_it_leaves(self, place: Any) -> None:
        async def test() -> None:
            will = Publication("w/1", b"dead", 1, retain=True)
            async with clients(place, "watcher") as (watcher,):
                watcher.transport.subscribe({"w/#": 1})
                await place.settled(watcher)
                async with clients(place, "one", will=will):
                    pass
                doomed = Client(place.transport("one", will=will), Ears())
                await doomed.online()
                await place.settled(watcher)
                assert watcher.ears.messages == []
                doomed.running.cancel()
                with suppress(asyncio.CancelledError):
                    await doomed.running
                await watcher.heard(b"dead")

        run(test())

    def test_a_connection_that_breaks_comes_back_with_its_filters(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", backoff=QUICK) as (one,):
                one.transport.subscribe({"c/#": 1})
                await place.settled(one)
                place.cut(one)
                await one.online(times=2)
                await place.settled(one)
                assert len(one.ears.outages) == 1
                one.transport.publish(Publication("c/1", b"again", 1))
                await one.heard(b"again")
                assert one.transport.counts()["connections"] == 2

        run(test())

    def test_a_thousand_messages_queued_offline_arrive_in_order(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "two") as (two,):
                two.transport.subscribe({"k": 1})
                await place.settled(two)
                transport = place.transport("one")
                expected = [b"%d" % number for number in range(1000)]
                for payload in expected:
                    transport.publish(Publication("k", payload, 1))
                one = Client(transport, Ears())
                await two.heard(*expected)
                await one.close()
                assert one.ears.drops == []
                assert transport.counts()["confirmed"] == 1000

        run(test())

    def test_the_queue_is_bounded_and_says_what_gave_way(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one", outbox_messages_max=3)
            transport.subscribe({"k": 1})
            for payload in (b"1", b"2", b"3"):
                transport.publish(Publication("k", payload, 0))
            one = Client(transport, Ears())
            transport.publish(Publication("k", b"4", 1))
            transport.publish(Publication("k", b"5", 1))
            transport.publish(Publication("k", b"6", 1))
            with pytest.raises(QueueFullError):
                transport.publish(Publication("k", b"7", 1))
            await asyncio.sleep(0)
            await one.online()
            await one.heard(b"4", b"5", b"6")
            await one.close()
            assert transport.counts()["queue_dropped"] == 3

        run(test())

    def test_closing_sends_what_was_published_just_before(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "two") as (two,):
                two.transport.subscribe({"f": 1})
                await place.settled(two)
                async with clients(place, "one") as (one,):
                    for number in range(200):
                        one.transport.publish(Publication("f", b"%d" % number, number % 2))
                await two.ears.until(lambda ears: len(ears.messages) == 200)
                assert one.ears.drops == []

        run(test())

    def test_after_closing_a_publication_is_dropped_with_a_reason(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                pass
            one.transport.publish(Publication("a", b"", 1))
            assert [topic for topic, _ in one.ears.drops] == ["a"]
            await one.transport.close()

        run(test())

    def test_a_link_that_fails_does_not_harm_the_connection(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.subscribe({"e": 1})
                await place.settled(one)

                def fail(_topic: str, payload: bytes) -> None:
                    if payload == b"bad":
                        raise ValueError("the owner's own mistake")

                one.ears.on_message = fail
                for payload in (b"bad", b"good"):
                    one.transport.publish(Publication("e", payload, 1))
                await one.heard(b"bad", b"good")
                assert one.transport.counts()["owner_errors"] == 1
                assert one.ears.outages == []

        run(test())

    def test_a_link_may_publish_and_subscribe_while_it_is_told_something(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):

                def answer(topic: str, payload: bytes) -> None:
                    if topic == "ask":
                        one.transport.subscribe({"answer": 1})
                        one.transport.publish(Publication("answer", payload, 1))

                one.ears.on_message = answer
                one.transport.subscribe({"ask": 1})
                await place.settled(one)
                one.transport.publish(Publication("ask", b"1", 1))
                await one.ears.until(lambda ears: ("answer", b"1", 1, False) in ears.messages)

        run(test())

    def test_held_acknowledgements_make_the_broker_deliver_again(self, place: Any) -> None:
        async def test() -> None:
            durable = {"session_expiry_s": 60, "acks_held": True, "backoff": QUICK}
            async with clients(place, "two") as (two,), clients(place, "one", **durable) as (one,):
                one.transport.subscribe({"h": 1})
                await place.settled(one)
                for payload in (b"1", b"2", b"3"):
                    two.transport.publish(Publication("h", payload, 1))
                await one.heard(b"1", b"2", b"3")
                assert one.transport.receipt == 3
                one.transport.acknowledge(2)
                await place.settled(one)
                place.cut(one)
                await one.online(times=2)
                await one.heard(b"1", b"2", b"3", b"3")
                assert one.transport.receipt == 4
                one.transport.acknowledge(3)
                await place.settled(one)
                place.cut(one)
                await one.online(times=3)
                await one.heard(b"1", b"2", b"3", b"3", b"3")
                one.transport.acknowledge(one.transport.receipt)

        run(test())

    def test_what_was_not_acknowledged_comes_again_before_what_came_meanwhile(self, place: Any) -> None:
        if not self.redelivers_first:
            pytest.skip("it delivers again after a while of its own, not when the client comes back")

        async def test() -> None:
            async with clients(place, "two") as (two,):
                async with clients(place, "one", session_expiry_s=60, acks_held=True) as (one,):
                    one.transport.subscribe({"h": 1})
                    await place.settled(one)
                    for payload in (b"1", b"2"):
                        two.transport.publish(Publication("h", payload, 1))
                    await one.heard(b"1", b"2")
                two.transport.publish(Publication("h", b"3", 1))
                await place.settled(two)
                back = Client(place.transport("one", session_expiry_s=60), Ears())
                await back.heard(b"1", b"2", b"3")
                await back.close()

        run(test())

    def test_a_message_that_expires_on_the_way_is_not_delivered(self, place: Any) -> None:
        if not self.expires:
            pytest.skip("message expiry is MQTT 5's")

        async def test() -> None:
            async with clients(place, "two") as (two,):
                async with clients(place, "one", session_expiry_s=60) as (one,):
                    one.transport.subscribe({"x": 1})
                    await place.settled(one)
                two.transport.publish(Publication("x", b"short", 1, expiry_s=1))
                two.transport.publish(Publication("x", b"long", 1, expiry_s=60))
                await place.settled(two)
                await asyncio.sleep(2.1)
                async with clients(place, "one", session_expiry_s=60) as (one,):
                    await one.ears.until(lambda ears: len(ears.messages) > 0)
                    await place.settled(one)
                    assert one.ears.payloads == [b"long"]

        run(test())

    def test_a_message_that_expires_in_the_queue_is_not_sent(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one")
            transport.subscribe({"x": 1})
            transport.publish(Publication("x", b"late", 1, expiry_s=0))
            transport.publish(Publication("x", b"fine", 1, expiry_s=60))
            one = Client(transport, Ears())
            await one.heard(b"fine")
            await one.close()
            assert one.ears.drops == [("x", "it expired while it waited to be sent")]
            assert transport.counts()["expired"] == 1

        run(test())

    def test_what_has_a_number_is_confirmed_once_when_the_broker_has_it(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one", "two") as (one, two):
                two.transport.subscribe({"n": 1})
                await place.settled(two)
                for number in range(1, 301):
                    one.transport.publish(Publication("n", b"%d" % number, 1, number=number))
                    one.transport.publish(Publication("n", b"nobody asks", 1))
                await one.ears.until(lambda ears: len(ears.confirmations) >= 300)
                await place.settled(one)
                assert one.ears.confirmations == list(range(1, 301))
                await two.ears.until(lambda ears: len(ears.messages) == 600)

        run(test())

    def test_a_number_is_confirmed_once_whatever_happens_to_the_connection(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one", backoff=QUICK, inflight_max=10)
            for number in range(1, 101):
                transport.publish(Publication("n", b"%d" % number, 1, number=number))
            one = Client(transport, Ears())
            assert one.ears.confirmations == []
            await one.online()
            for times in range(2, 5):
                first = 100 * (times - 1) + 1
                for number in range(first, first + 100):
                    transport.publish(Publication("n", b"%d" % number, 1, number=number))
                    if number == first + 50:
                        place.cut(one)
                await one.online(times=times)
            await one.ears.until(lambda ears: len(ears.confirmations) >= 400)
            await place.settled(one)
            assert one.ears.confirmations == list(range(1, 401))
            assert one.ears.drops == []
            await one.close()

        run(test())

    def test_what_expired_in_the_queue_is_told_and_asked_for_no_longer(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one")
            transport.publish(Publication("x", b"late", 1, expiry_s=0, number=1))
            transport.publish(Publication("x", b"fine", 1, expiry_s=60, number=2))
            one = Client(transport, Ears())
            await one.ears.until(lambda ears: len(ears.confirmations) >= 2)
            await one.close()
            assert sorted(one.ears.confirmations) == [1, 2]
            assert one.ears.drops == [("x", "it expired while it waited to be sent")]

        run(test())

    def test_what_is_unconfirmed_at_the_end_is_dropped_and_stays_so(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one")
            transport.publish(Publication("x", b"never sent", 1, number=1))
            one = Client(transport, Ears())
            await transport.close()
            await one.running
            transport.publish(Publication("x", b"too late", 1, number=2))
            assert [topic for topic, _ in one.ears.drops] == ["x", "x"]
            assert one.ears.confirmations == []

        run(test())

    def test_best_effort_publications_are_not_confirmed(self, place: Any) -> None:
        async def test() -> None:
            async with clients(place, "one") as (one,):
                one.transport.publish(Publication("x", b"q0", 0, number=1))
                one.transport.publish(Publication("x", b"q1", 1, number=2))
                await one.ears.until(lambda ears: ears.confirmations == [2])
                await place.settled(one)
                assert one.ears.confirmations == [2]

        run(test())

    def test_nonsense_is_refused_where_it_is_said(self, place: Any) -> None:
        async def test() -> None:
            transport = place.transport("one")
            for topic in ("", "a/+", "a/#", "a\0", "\ud800"):
                with pytest.raises(TopicError):
                    transport.publish(Publication(topic, b""))
            with pytest.raises(UsageError, match="QoS 2"):
                transport.publish(Publication("a", b"", 2))
            with pytest.raises(TopicError):
                transport.subscribe({"a/#/b": 0})
            with pytest.raises(UsageError, match="QoS 2"):
                transport.subscribe({"a": 2})
            await transport.close()
            one = Client(transport, Ears())
            await one.running
            with pytest.raises(UsageError, match="once"):
                await transport.run(Ears())

        run(test())
