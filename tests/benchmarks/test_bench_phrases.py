"""Captions to phrases: how many a second of CPU time, and how much of the library's own speed is left (PERF.md)."""

import time

from nltk.chunk.regexp import RegexpParser
from textblob.en.taggers import PatternTagger

from trainer.vesl.phrases import GRAMMAR, phrases_of

THINGS = ("dog", "cat", "man", "woman", "horse", "tennis player", "bathroom sink", "clock tower", "surfboard")
PLACES = ("a sandy beach", "the city street", "a wooden table", "the green grass", "a parked car")
VERBS = ("standing next to", "sitting on top of", "looking at", "riding past", "holding")
CAPTIONS = [
    f"A {color} {thing} {verb} {place} in front of a group of people."
    for color in ("red", "small", "large white", "well dressed", "young")
    for thing in THINGS
    for verb in VERBS
    for place in PLACES
]
NUM_ROUNDS = 5
MIN_PER_SECOND, MIN_RATIO = 2000, 0.8


def test_that_two_thousand_captions_a_second_become_phrases(benchmark):
    tagger, parser = PatternTagger(), RegexpParser(GRAMMAR)

    def bare():
        return [parser.parse(tagger.tag(caption)) for caption in CAPTIONS]

    def ours():
        return [phrases_of(caption) for caption in CAPTIONS]

    best = {}
    for name, work in [("bare", bare), ("ours", ours)] * NUM_ROUNDS:
        begun = time.process_time()
        work()
        best[name] = min(best.get(name, float("inf")), time.process_time() - begun)
    benchmark.pedantic(ours, rounds=1)
    per_second, ratio = len(CAPTIONS) / best["ours"], best["bare"] / best["ours"]
    benchmark.extra_info.update(captions_per_cpu_second=round(per_second), ratio_to_bare=round(ratio, 2))
    print(f"\n{per_second:.0f} captions a CPU second, {ratio:.2f} of the bare library's speed")
    assert per_second > MIN_PER_SECOND
    assert ratio > MIN_RATIO
