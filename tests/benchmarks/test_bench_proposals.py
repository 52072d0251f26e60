"""What finding things costs once an image's tokens are at hand: below a second of one thread, and a part of the tower.

CPU time of one thread, which a busy machine changes little, so that the ratio to the tower's holds anywhere.
"""

import time
from statistics import median

import numpy as np
import pytest
import torch

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.detector import detect

NUM_ROUNDS = 5
NAMES = [f"a thing of kind {number}" for number in range(80)]
MAX_S = 1.0
MAX_PROPOSING, MAX_DETECTING = 0.25, 0.5  # of the tower's time


def cpu_s(work) -> float:
    """Median CPU time of a call, the first left out."""
    spent = []
    for _ in range(NUM_ROUNDS + 1):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return median(spent[1:])


@pytest.mark.slow
def test_that_finding_things_takes_less_than_a_second_and_less_than_the_tower(record_property):
    torch.set_num_threads(1)
    model = load_checkpoint(bundled_checkpoint())
    square = np.random.default_rng(0).integers(0, 256, (model.input_px, model.input_px, 3), np.uint8)
    pixels = model.preprocess(square)[None]
    with torch.inference_mode():
        tokens, text_TD = model.encode_image(pixels)[0], model.embed_texts(NAMES)
        tower = cpu_s(lambda: model.encode_image(pixels))
        proposing = cpu_s(lambda: model.propose(model.prepare(tokens), 100))
        detecting = cpu_s(lambda: detect(model, model.prepare(tokens), text_TD))
    for name, value in (("tower", tower), ("proposing", proposing), ("detecting", detecting)):
        record_property(name, round(value, 4))
    assert detecting < MAX_S
    assert proposing < MAX_PROPOSING * tower
    assert detecting < MAX_DETECTING * tower
