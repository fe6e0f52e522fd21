"""A tiny language of topics, in which words far apart depend on each other.

A trigram model cannot see these dependencies, so a small model that has learned the
language is better than a trigram model.
"""

import random

_TOPICS = {
    "farm": ("farmer cow goat hen", "barn field fence pond", "feeds milks counts washes"),
    "sea": ("sailor captain whale crab", "harbor beach reef pier", "steers sinks paints ropes"),
    "school": ("teacher pupil nurse clerk", "desk board hall yard", "reads writes copies spells"),
    "kitchen": ("cook baker guest waiter", "stove oven sink table", "boils fries tastes stirs"),
    "stage": (
        "singer dancer actor drummer",
        "curtain piano spot choir",
        "sings plays hums repeats",
    ),
    "road": ("driver cyclist guard walker", "bridge corner light lane", "parks drives stops turns"),
}
_THINGS = {
    "farm": "bucket plough egg rope",
    "sea": "anchor net sail shell",
    "school": "book pencil letter map",
    "kitchen": "soup cake pan spoon",
    "stage": "song mask verse waltz",
    "road": "truck wheel sign bus",
}
_TIMES = {
    "farm": "harvest spring",
    "sea": "storm tide",
    "school": "exam lesson",
    "kitchen": "dinner lunch",
    "stage": "concert opera",
    "road": "traffic rain",
}


def write_sentences(count: int, seed: int = 0) -> list[str]:
    """Return different sentences of the language."""
    choose = random.Random(seed).choice
    sentences: dict[str, None] = {}
    while len(sentences) < count:
        topic = choose(sorted(_TOPICS))
        who, where, does = (choose(words.split()) for words in _TOPICS[topic])
        what, when = choose(_THINGS[topic].split()), choose(_TIMES[topic].split())
        sentences[f"the {who} near the {where} {does} a {what} before the {when} ."] = None
    return list(sentences)
