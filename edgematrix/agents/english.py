"""English words by what they do in a sentence that is spoken to a house. What a house's things are called stands in its matrix."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AGAINST",
    "ASKING",
    "BEFORE_ONE",
    "FILLERS",
    "GREETINGS",
    "HELD",
    "NOUNS_FOLLOW",
    "OPENERS",
    "PARTS",
    "REFERRING",
    "SCALES",
    "SHARES",
    "SUBJECTS",
    "TOLD",
    "UNITS",
    "VERBS",
    "WISHES",
]

# fmt: off
FILLERS: Final = frozenset({
    "a", "about", "across", "actually", "adjust", "ahead", "alexa", "along", "already", "also", "am", "an", "and", "anyway",
    "approximately", "are", "around", "as", "at", "basically", "be", "been", "being", "bit", "bitte", "bring", "bringing",
    "buddy", "by", "can", "change", "cheers", "computer", "could", "d", "darling", "dear", "do", "does", "either", "er", "exactly",
    "favor", "favour", "finally", "flip", "for", "from", "get", "getting", "give", "giving", "go", "gonna", "good", "grateful",
    "great", "had", "has", "have", "he", "hello", "her", "here", "hes", "hey", "hi", "him", "his", "hmm", "hte", "i", "id", "im",
    "in", "inside", "into", "is", "it", "its", "ive", "just", "kind", "kindly", "lets", "like", "little", "ll", "love", "m",
    "make", "making", "mate", "may", "maybe", "me", "mean", "mind", "move", "my", "need", "nice", "nicely", "now", "of", "oh", "ok", "okay",
    "onto", "our", "perhaps", "please", "pls", "possible", "put", "putting", "quickly", "quite", "re", "really", "right", "roughly",
    "s", "say", "set", "she", "shes", "should", "so", "some", "somewhat", "sorry", "straight", "sure", "switch", "switching", "t",
    "ta", "take", "taking", "teh", "thank", "thanks", "that", "thats", "the", "their", "them", "then", "there", "theres", "these",
    "they", "theyre", "this", "those", "through", "thx", "to", "today", "too", "turn", "turning", "u", "uh", "um", "us", "ve", "very",
    "via", "wanna", "want", "way", "we", "well", "were", "weve", "will", "with", "would", "you", "your", "youre",
})
"""Words that say nothing about what is wanted."""
AGAINST: Final = frozenset({
    "abort", "aint", "arent", "avoid", "but", "cancel", "cannot", "cant", "couldnt", "didnt", "doesnt", "dont", "enough", "except",
    "forget", "hasnt", "havent", "hold", "instead", "isnt", "keep", "leave", "mustnt", "necessary", "neednt", "neither", "never",
    "nevermind", "no", "nobody", "none", "nor", "not", "nothing", "quit", "rather", "refrain", "shouldnt", "stay", "stop", "undo",
    "unless", "unnecessary", "wait", "wasnt", "werent", "without", "wont", "wouldnt",
})
"""Words that may turn what is said into its opposite, unless the sentence that is known has them too."""
HELD: Final = frozenset({
    "after", "afternoon", "am", "before", "daily", "evening", "every", "friday", "hour", "hourly", "hours", "if", "later", "midnight",
    "minute", "minutes", "monday", "month", "morning", "noon", "oclock", "once", "or", "pm", "saturday", "second", "seconds", "soon",
    "sunday", "thursday", "till", "tomorrow", "tonight", "tuesday", "unless", "until", "wednesday", "week", "weekend", "weekly",
    "ago", "yesterday", "when", "whenever", "whether", "while",
})
"""Words that tie what is said to a moment, a condition or a choice."""
TOLD: Final = frozenset({
    "action", "admin", "administrator", "announced", "approval", "approve", "approved", "ask", "asked", "asks", "assistant", "claims",
    "command", "commands", "confidence", "confirm", "demand", "developer", "disregard", "ignore", "instruction", "instructions",
    "mode_active", "ordered", "orders", "override", "payload", "policy", "prompt", "reads", "said", "says", "system", "told",
    "writes", "written", "wrote",
})
"""Words of reports, and of those who speak in another's name."""
ASKING: Final = frozenset({
    "am", "are", "did", "does", "had", "has", "how", "hows", "is", "may", "might", "shall", "should", "was", "were", "what", "whats",
    "when", "where", "wheres", "which", "who", "whos", "whose", "why",
})
"""Words that a question begins with."""
OPENERS: Final = frozenset({
    "and", "hello", "hey", "hi", "house", "oh", "ok", "okay", "please", "so", "well",
})
"""Words that stand before what is said."""
SUBJECTS: Final = frozenset({
    "everybody", "everyone", "he", "hes", "i", "im", "it", "its", "ive", "nobodys", "she", "shes", "somebody", "someone", "thats",
    "there", "theres", "they", "theyre", "we", "were", "weve",
})
"""Words that a clause begins with which tells how things are."""
NOUNS_FOLLOW: Final = frozenset({
    "my", "our", "that", "the", "these", "this", "those",
})
"""The same, where one of `VERBS` follows."""
VERBS: Final = frozenset({
    "are", "came", "comes", "feels", "gets", "goes", "got", "had", "has", "have", "hurt", "hurts", "is", "looks", "may", "might", "must",
    "seems", "sleeps", "smell", "smells", "sounds", "stink", "stinks", "starts", "started", "wakes", "was", "went", "were", "woke", "works",
})
"""Verbs of such clauses."""
GREETINGS: Final = frozenset({
    "good", "morning", "evening", "afternoon", "day", "hello", "hi", "hey", "welcome", "thanks", "thank", "you", "everybody",
    "everyone", "all", "night", "nighty", "cheers", "ta", "bye", "goodbye", "dear", "darling", "folks", "guys", "love", "honey", "again",
})
"""Words of greetings, which want nothing."""
WISHES: Final = frozenset({
    "can", "could", "id", "must", "need", "shall", "should", "want", "will", "wish", "would",
})
"""Words of wishes, which such clauses have none of."""
REFERRING: Final = frozenset({
    "here", "it", "its", "one", "that", "them", "there", "they", "those",
})
"""Words for what was named before."""
UNITS: Final = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}
"""Numbers."""
SCALES: Final = {
    "hundred": 100, "thousand": 1000,
}
"""What numbers are multiplied by."""
SHARES: Final = {
    "half": 0.5, "halfway": 0.5, "third": 1 / 3, "quarter": 0.25, "full": 1.0, "fully": 1.0, "maximum": 1.0, "max": 1.0,
    "highest": 1.0, "minimum": 0.0, "min": 0.0, "lowest": 0.0, "middle": 0.5, "medium": 0.5, "upmost": 1.0,
    "downmost": 0.0, "slowest": 0.0, "fastest": 1.0,
}
"""Of the way from the least to the most that a number may be."""
PARTS: Final = {
    "half": 0.5, "halves": 0.5, "third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25, "fifth": 0.2, "fifths": 0.2,
    "tenth": 0.1, "tenths": 0.1,
}
"""Of a whole, where their number stands before them."""
BEFORE_ONE: Final = frozenset({
    "at", "level", "number", "on", "setting", "speed", "stage", "step", "to",
})
"""Words after which `one` is a number."""
