"""Clauses that tell how things are, as they are told in English: states, what others do, complaints, what goes on. They command nothing."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_complaint", "is_report", "is_told"]

_LEAD: Final = r"\W*(?:(?:and|but|because|as|since|so|oh|well|now)\b,?\s*)*"
_STATES: Final = r"(?:on|off|open|opened|closed|shut|up|down|locked|unlocked|out|running|burning|broken|back on|wide open)"
_SOMETHING: Final = r"(?:the|my|our|your|his|her|their|this|that|these|those|it|all|both|every|everything)\b"
_BELIEVED: Final = r"(?:(?:i (?:think|see|know|believe|guess|hear|heard|noticed|saw)(?: that)?|apparently|looks like)\s+)*"
_STILL: Final = r"(?:\s+(?:all|still|already|now|really|just|always|switched|turned|wide|half|not|yet))*"
_SINCE: Final = r"(?:\s+(?:now|already|again|still|yet|anyway|all (?:day|night|morning|evening)|since \w+))*"
_DOES: Final = r"(?:will|would|has|had|is|was|are|were|did|does|just|already|always|never|said|wants?|likes?|needs?|could|might|\w+ed)"
_ACTS: Final = r"(?:turn|switch|open|close|shut|set|put|dim|lock|unlock|start|stop|raise|lower)"
_NUMERAL: Final = r"(?:[0-9]+|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|a hundred)\b"
_REPORT: Final = re.compile(
    rf"{_LEAD}{_BELIEVED}"
    rf"(?:{_SOMETHING}[^,;]*?\s+(?:is|are|was|were|stands|went|goes|has been|have been|had been){_STILL}\s+{_STATES}{_SINCE}\W*$"
    rf"|(?:{_SOMETHING}[^,;]*?\s(?:is|are|was|were|costs?)|it's|it is|there (?:is|are|were|was))\s+"
    rf"(?:(?:about|already|only|now|at|just)\s+)*{_NUMERAL}"
    rf"|(?:the|my|our) [\w ]+? (?:plays|runs|opens|closes|starts|stops|rings|turns|shines|costs|flickers)\b"
    rf"|it's\s+(?:still |already |now )*(?:on|off|open|closed|locked|unlocked)\W*$"
    rf"|(?:i|we)(?:'ll|'d| (?:could|might|may|can|will|would|shall))(?: (?:always|also|just|then))? {_ACTS}\b"
    rf"|(?:you|we|i) (?:could|should|would|might|must) have \w+"
    rf"|(?:he|she|they|somebody|someone|who) {_DOES}\b|(?:he|she|they)(?:'ll|'ve|'d|'s|'re)\b)",
    re.IGNORECASE,
)
_NEGATED: Final = (
    r"(?:can't|cannot|can hardly|can barely|couldn't|can not|don't|doesn't|do not|does not|didn't|won't|isn't|aren't|am not|'m not|haven't"
    r"|hasn't)"
)
_FELT: Final = (
    r"(?:see|hear|sleep|read|breathe|concentrate|find|think|work|stand|bear|like|love|know|remember|care|feel|understand|believe|wake|fall|eat"
    r"|dry|asleep|awake|finished|well|ready|there|been|rained|slept|need it|need that|need them|need any more|use it)"
)
_PLAINT: Final = re.compile(
    rf"{_LEAD}(?:i|we|it|he|she|they|you|nobody|no one|(?:the|my|our|her|his) \w+)\s+{_NEGATED}\s+"
    rf"(?:(?:even|really|quite|possibly|properly|well|just)\s+)*{_FELT}\b",
    re.IGNORECASE,
)
_SATED: Final = re.compile(
    rf"{_LEAD}(?:\S+ ){{0,3}}?(?:'ve |have |has )?(?:had|watched|seen|heard|eaten) enough\b|\W*not (?:this|that)(?: one| song| again)?\W*$",
    re.IGNORECASE,
)
_NOT_YET: Final = re.compile(
    rf"[^,;]*?\s(?:isn't|aren't|is not|are not)\s+(?:even\s+)?(?:needed|wanted|used|{_STATES})(?:\s+yet|\s+any ?more)?\W*$",
    re.IGNORECASE,
)
_HAPPENS: Final = (
    r"(?:[a-z]{2,}ing|asleep|awake|ready|here|done|home|gone|tired|hungry|sick|ill|late|over|finished|sore|sleepy|bored|up|out|back|due|full"
    r"|wet|dry|empty)"
)
_PAST: Final = r"(?:woke|fell|came|arrived|finished|cried|went|burnt|burned|spilled|spilt|broke|forgot)"
_HAPPENING: Final = re.compile(
    rf"{_LEAD}(?:(?:the|my|our|her|his)\s+)?[a-z]+(?:'s| is|'re| are)\s+"
    rf"(?:(?:been|just|still|already|now|all|fast|almost|nearly|about|here|too|so|very)\s+)*{_HAPPENS}\b",
    re.IGNORECASE,
)
_HAPPENED: Final = re.compile(rf"{_LEAD}(?:(?:the|my|our|her|his|i|we)\s+)?(?:[a-z]+\s+)?(?:just\s+)?{_PAST}\b", re.IGNORECASE)
_ABLE: Final = re.compile(
    r"[^,;]*\ball over (?:the|my|our)\b|\W*(?:(?:the|my|our|her|his|all the) )?\w+ can (?:see|hear|smell|look|feel|watch)\b", re.IGNORECASE
)
_LETTING: Final = re.compile(
    r"\W*let (?:(?:the|my|our|her) )?(?!sun|light|air|daylight|sunshine|steam|smoke|heat|breeze)\w+ (?:in|out|sleep)\W*$", re.IGNORECASE
)
_TIME_TO: Final = re.compile(r"\W*(?:it's |it is )?(?:high )?time (?:to|for)\b", re.IGNORECASE)


def is_report(text: str) -> bool:
    """Whether it tells the state of something, or what somebody else does: no command, however like one it is."""
    return _REPORT.match(text) is not None


def is_complaint(text: str) -> bool:
    """Whether it tells what is not so, or lets somebody in: it may stand beside a command, though it has words that stand in the way."""
    return any(form.match(text) is not None for form in (_PLAINT, _SATED, _NOT_YET, _LETTING))


def is_told(text: str) -> bool:
    """Whether it tells what goes on, what somebody can see, or what it is time for."""
    return any(form.match(text) is not None for form in (_HAPPENING, _HAPPENED, _TIME_TO, _REPORT, _ABLE))
