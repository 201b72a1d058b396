"""Judges cases by the rules of boards, and prints the firings of each. A line is a case: `[form, [[moment, port, payload], …], until]`.

The clock is the case's own. With a third argument the rules are stored and read again after each value, as over deep sleep.
"""

import json
import sys

from upy.rules import Rules


def firings(rules: Rules, case: list, sleeps: str) -> list:
    form, steps, until = case
    found = []

    def to(moment: int) -> None:
        due = rules.due()
        while due is not None and due <= moment:
            rules.advance(due)
            take(due)
            due = rules.due()

    def take(moment: int) -> None:
        for _, fired_at, readings in rules.fired:
            found.append([moment, fired_at, readings])
        rules.fired.clear()

    for moment, port, payload in steps:
        to(moment)
        rules.feed(port, payload, moment)
        take(moment)
        if sleeps:
            kept = json.loads(json.dumps(rules.dump()))
            rules = rules_of(form)
            rules.load(kept)
    to(until)
    return found


def let_out(case: list) -> list:
    """Which of the values a board publishes."""
    quiet, steps, _ = case
    rules = Rules([1, "t", quiet, []])
    return [place for place, (moment, port, payload) in enumerate(steps) if rules.wants(port, payload, moment)]


def rules_of(form: list) -> Rules:
    need, sources, stages = form
    return Rules([1, "t", [], [["r", need, sources, stages, []]]])


def main(file: str, sleeps: str = "") -> None:
    with open(file) as lines:  # noqa: PTH123 - MicroPython has no pathlib
        for line in lines:
            case = json.loads(line)
            try:
                print(json.dumps(let_out(case) if sleeps == "sieve" else firings(rules_of(case[0]), case, sleeps)))
            except ValueError as error:
                print(json.dumps(str(error)))


main(*sys.argv[1:])
