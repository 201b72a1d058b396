"""Civil time: cron lines, times of day, sun events and windows, over gaps and folds."""

# ruff: noqa: DTZ001 - local times have no zone

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.protocol.moment import format_moment, parse_moment
from edgematrix.triggers import Calendar
from edgematrix.triggers.cron import parse_cron
from edgematrix.triggers.daytime import daytime_of
from edgematrix.triggers.spec import Window
from edgematrix.triggers.ticks import at_ticks, cron_ticks, last_tick, sun_ticks

BERLIN = Calendar("Europe/Berlin", 52.52, 13.4)
UTC_CALENDAR = Calendar()
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
HOUR_US = 3_600_000_000


def window(begin: str, end: str, days: list[str]) -> Window:
    return Window(**{"from": begin, "to": end, "days": days})


@given(st.sampled_from(ZONES), st.datetimes(datetime(2011, 1, 1), datetime(2030, 1, 1)))
def test_a_local_time_is_the_first_instant_that_shows_it_or_the_first_after_the_gap(zone: str, local: datetime):
    calendar = Calendar(zone)
    instant = calendar.instant(local)
    shown = calendar.local(instant)
    if shown == local:
        for earlier in (HOUR_US // 2, HOUR_US):
            assert calendar.local(instant - earlier) != local
    else:
        assert shown > local
        assert calendar.local(instant - 1) < local


def brute(matches: list[set[int]], any_day: bool, any_weekday: bool, zone: str, start: datetime, hours: int) -> list[datetime]:
    """The ticks by asking each local minute: written out, without knowing of instants."""
    minutes, at_hours, days, months, weekdays = matches
    found: list[datetime] = []
    local = start.replace(second=0, microsecond=0)
    for _ in range(hours * 60):
        day_fits = (local.day in days, local.isoweekday() % 7 in weekdays)
        both = (any_day or day_fits[0]) and (any_weekday or day_fits[1])
        fits = both if any_day or any_weekday else any(day_fits)
        if local.minute in minutes and local.hour in at_hours and local.month in months and fits:
            found.append(local)
        local += timedelta(minutes=1)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.none() | st.sets(st.integers(1, 31), min_size=1, max_size=3),
    st.none() | st.sets(st.integers(0, 7), min_size=1, max_size=3),
    st.sampled_from([datetime(2026, 3, 28), datetime(2026, 10, 24), datetime(2026, 2, 27), datetime(2026, 12, 30)]),
)
def test_cron_ticks_at_each_local_minute_that_its_fields_match(minutes, hours, days, weekdays, start):
    parts = [minutes, hours, days, None, weekdays]
    line = " ".join("*" if part is None else ",".join(map(str, sorted(part))) for part in parts)
    matches = [minutes, hours, days or set(range(1, 32)), set(range(1, 13)), {day % 7 for day in weekdays or range(7)}]
    locals_due = brute(matches, days is None, weekdays is None, "Europe/Berlin", start, 72)
    first = BERLIN.instant(start) - 1
    expected = sorted({instant for local in locals_due if (instant := BERLIN.instant(local)) > first})
    ticks = cron_ticks(line, BERLIN)
    found, at = [], first
    last = BERLIN.instant(start + timedelta(hours=72)) - 1
    while (tick := ticks.after(at)) is not None and tick <= last:
        found.append(tick)
        at = tick
    assert list(map(format_moment, found)) == list(map(format_moment, expected))


@pytest.mark.parametrize(
    ("line", "after", "tick"),
    [
        ("0 7 * * 0", "2026-01-01T00:00:00Z", "2026-01-04T07:00:00Z"),
        ("0 7 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T07:00:00Z"),
        ("0 7 * * sun", "2026-01-01T00:00:00Z", "2026-01-04T07:00:00Z"),
        ("0 7 * * fri-sun", "2026-01-01T00:00:00Z", "2026-01-02T07:00:00Z"),
        ("0 7 * * 5-7", "2026-01-03T08:00:00Z", "2026-01-04T07:00:00Z"),
        ("*/20 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:20:00Z"),
        ("10-30/10 5 * * *", "2026-01-01T05:10:00Z", "2026-01-01T05:20:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 31 2 1", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"),
        ("0 0 1 jan,jul *", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ("0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    ],
)
def test_cron_lines(line: str, after: str, tick: str):
    assert format_moment(cron_ticks(line, UTC_CALENDAR).after(parse_moment(after)) or 0) == tick


@pytest.mark.parametrize(
    "line",
    ["* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5/10 * * * *", "*/0 * * * *",
     "30-10 * * * *", "a * * * *", "0 0 31 2,4 *", "0 0 30 feb *", "", "1,,2 * * * *", "*-5 * * * *", "@daily", "-1 * * * *"],
)  # fmt: skip
def test_a_wrong_cron_line_is_refused_and_one_that_never_comes(line: str):
    with pytest.raises(ValueError, match="cron"):
        parse_cron(line)


def test_times_of_day_and_moments():
    assert format_moment(at_ticks("07:30", BERLIN).after(parse_moment("2026-07-01T00:00:00Z")) or 0) == "2026-07-01T05:30:00Z"
    once = at_ticks("2026-07-01T08:00", BERLIN)
    assert format_moment(once.after(0) or 0) == "2026-07-01T06:00:00Z"
    assert once.after(parse_moment("2026-07-01T06:00:00Z")) is None


@pytest.mark.parametrize("text", ["25:00", "7", "07:60", "2026-07-01", "tomorrow", "", "07:30pm"])
def test_a_wrong_time_is_refused(text: str):
    with pytest.raises(ValueError, match="time|`at`"):
        at_ticks(text, BERLIN)


def test_the_sun_by_the_almanac():
    """Berlin, 21 June 2026: sunrise 04:43, sunset 21:33 in summer time (timeanddate.com), to two minutes."""
    after = parse_moment("2026-06-20T22:00:00Z")
    assert abs((sun_ticks("sunrise", BERLIN).after(after) or 0) - parse_moment("2026-06-21T02:43:00Z")) < HOUR_US / 30
    assert abs((sun_ticks("sunset", BERLIN).after(after) or 0) - parse_moment("2026-06-21T19:33:00Z")) < HOUR_US / 30


def test_an_offset_moves_the_sun():
    after = parse_moment("2026-06-20T22:00:00Z")
    at = sun_ticks("sunset", BERLIN).after(after) or 0
    assert sun_ticks("sunset-1h30m", BERLIN).after(after) == at - HOUR_US * 3 // 2
    assert sun_ticks("sunset+5h", BERLIN).after(at) == at + 5 * HOUR_US


def test_where_the_sun_does_not_set_the_next_sunset_is_weeks_away():
    north = Calendar("Europe/Oslo", 69.65, 18.96)
    tick = sun_ticks("sunset", north).after(parse_moment("2026-06-10T00:00:00Z"))
    assert tick is not None
    assert "2026-07-2" in format_moment(tick)


@pytest.mark.parametrize("text", ["moonrise", "sunset+25h", "sunset-", "", "sunset+soon"])
def test_a_wrong_sun_is_refused(text: str):
    with pytest.raises(ValueError, match=r"sun|offset|duration"):
        sun_ticks(text, BERLIN)


def test_the_sun_needs_a_place_and_a_calendar_a_zone():
    with pytest.raises(ValueError, match="location"):
        sun_ticks("sunset", UTC_CALENDAR)
    with pytest.raises(ValueError, match="Mars/Olympus"):
        cron_ticks("* * * * *", Calendar("Mars/Olympus"))


@given(st.sampled_from(["*/7 * * * *", "0 3 * * 1", "30 2 29 2 *", "0 0 1 1 *"]), st.integers(0, 10**9), st.integers(0, 10**9))
@settings(deadline=None, max_examples=40)
def test_the_last_tick_is_the_one_before_the_next(line: str, one_s: int, other_s: int):
    after, until = sorted((one_s * 1_000_000 + 10**15, other_s * 1_000_000 + 10**15))
    ticks = cron_ticks(line, BERLIN)
    last = last_tick(ticks, after, until)
    if last is None:
        following = ticks.after(after)
        assert following is None or following > until
    else:
        assert after < last <= until
        assert (ticks.after(last) or until + 1) > until


@given(st.integers(0, 400 * 24 * 60), st.sampled_from(["22:00-06:00", "02:30-03:15", "01:00-02:30", "06:00-22:00"]))
def test_a_window_holds_what_its_local_times_say(minutes: int, text: str):
    moment = parse_moment("2026-01-01T00:00:00Z") + minutes * 60_000_000
    stretch = daytime_of(text, BERLIN).at(moment)
    begin, end = text.split("-")
    zone = ZoneInfo("Europe/Berlin")
    local = datetime.fromtimestamp(moment / 1e6, tz=UTC).astimezone(zone)
    if local.fold == 0 and local.utcoffset() == (local - timedelta(hours=1)).utcoffset():  # away from the hours that come twice
        shown = local.strftime("%H:%M")
        inside = begin <= shown < end if begin < end else shown >= begin or shown < end
        assert stretch.inside == inside
    assert stretch.until_us is not None
    assert stretch.until_us > moment
    assert daytime_of(text, BERLIN).at(stretch.until_us).inside != stretch.inside
    assert daytime_of(text, BERLIN).at(stretch.until_us - 1).inside == stretch.inside


def test_the_days_of_a_window_are_those_on_which_it_begins():
    night = daytime_of(window("22:00", "06:00", ["fri"]), UTC_CALENDAR)
    assert not night.at(parse_moment("2026-01-02T05:00:00Z")).inside  # Friday morning belongs to Thursday
    stretch = night.at(parse_moment("2026-01-03T05:00:00Z"))
    assert stretch.inside
    assert format_moment(night.at(stretch.until_us or 0).until_us or 0) == "2026-01-09T22:00:00Z"


def test_a_window_inside_a_gap_is_empty_that_night():
    in_gap = daytime_of("02:10-02:50", BERLIN)
    stretch = in_gap.at(parse_moment("2026-03-29T00:00:00Z"))
    assert format_moment(stretch.until_us or 0) == "2026-03-30T00:10:00Z"


@pytest.mark.parametrize("text", ["22:00", "22:00-22:00", "22-06", "25:00-06:00", "sunset-sunset", "", "a-b-c"])
def test_a_wrong_window_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        daytime_of(text, BERLIN)


def test_a_window_of_no_day_is_refused():
    with pytest.raises(ValueError, match="no day"):
        daytime_of(window("22:00", "06:00", []), UTC_CALENDAR)


def test_a_window_may_mix_the_sun_and_the_clock():
    evening = daytime_of("sunset-15m - 23:30", BERLIN)
    begins = evening.at(parse_moment("2026-01-01T12:00:00Z")).until_us or 0
    assert begins == (sun_ticks("sunset", BERLIN).after(parse_moment("2026-01-01T12:00:00Z")) or 0) - HOUR_US // 4
    assert format_moment(evening.at(begins).until_us or 0) == "2026-01-01T22:30:00Z"
