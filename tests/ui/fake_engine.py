"""An engine without a model: speaks the protocol, and misbehaves as the name of its checkpoint says."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from locstudio.jobs import engine_messages as m


def say(reply: m.AnyReply) -> None:
    os.write(1, m.reply_line(reply))


def answer(request: m.AnyRequest, opened: set[str]) -> m.AnyReply:
    key = getattr(request, "key", None)
    if isinstance(request, m.SetImage):
        opened.add(request.key)
        return m.ImageSet(id=request.id, key=request.key, width=4, height=3, is_cached=True)
    if key is not None and key not in opened:
        return m.Refused(id=request.id, sentence="No image is open in the model. Open the image again.")
    if isinstance(request, m.EncodeBoxes):
        if request.is_preview and request.boxes[0][0] == 0.5:
            return m.Superseded(id=request.id)
        return m.Embedded.of(request.id, np.array(request.boxes, np.float32))
    if isinstance(request, m.EncodeTexts):
        return m.Embedded.of(request.id, np.array([[len(text), 0, 0, 0] for text in request.texts], np.float32))
    if isinstance(request, m.GroundText):
        return m.Grounded(id=request.id, box=(0.1, 0.2, 0.3, 0.4), score=0.5)
    if isinstance(request, m.Propose):
        return m.Proposed(id=request.id, boxes=[(0.0, 0.0, 0.5, 0.5)], scores=[0.75])
    if isinstance(request, m.Segment):
        if request.is_preview and len(request.prompts[0].points) == 5:
            return m.Superseded(id=request.id)
        boxes = [prompt.box or (0.25, 0.25, 0.75, 0.75) for prompt in request.prompts]
        masks = ["" if box[0] == 0 else json.dumps([[*box, box[2], box[1]]]) for box in boxes]
        found = [box if mask else None for box, mask in zip(boxes, masks, strict=True)]
        name = f"fake {m.path_of(request.sam).name}".strip()
        return m.Segmented(id=request.id, name=name, masks=masks, boxes=found, scores=[0.5] * len(boxes))
    if isinstance(request, m.FindHeat):
        return heat(request)
    if isinstance(request, m.FindRouting):
        return routing(request)
    return m.Embedded.of(request.id, np.ones((1, 4), np.float32))


def heat(request: m.FindHeat) -> m.AnyReply:
    """Four classes: each is hot in its own corner of 4 x 4 cells, the later the colder."""
    folder = m.path_of(request.checkpoint)
    if folder.name == "damaged":
        return m.Refused(id=request.id, sentence=f"There is no checkpoint in {folder}.")
    known = ["person", "dog", "cat", "bus"]
    names = [name for name in request.class_names if name in known] if request.class_names else known
    maps = np.zeros((len(names), 4, 4), np.uint8)
    for row, name in enumerate(names):
        place = known.index(name)
        maps[row, 3 * (place // 2), 3 * (place % 2)] = 250 - 40 * place
    return m.Heated(
        id=request.id,
        checkpoint_id="consistency-fake",
        name=f"fake {folder.name}",
        class_names=names,
        scores=[0.9 - 0.2 * known.index(name) for name in names],
        grid=4,
        maps=maps.tobytes(),
    )


def routing(request: m.FindRouting) -> m.AnyReply:
    """What the arrays of a test would make of an image: the expert of its number, of a box the second one.

    The classes are those of the checkpoint; each expert would have said the first of its own.
    """
    folder = m.path_of(request.checkpoint)
    if folder.name == "damaged":
        return m.Refused(id=request.id, sentence=f"There is no checkpoint in {folder}.")
    config = json.loads((folder / "config.json").read_text())
    num, names = config["num_experts"], config["classes"]
    expert = 1 if request.box is not None else int(request.key) % num
    shares = [0.7 if each == expert else 0.3 / max(num - 1, 1) for each in range(num)]
    own = [[name for name, group in zip(names, config["superclass_of"], strict=True) if group == e] for e in range(num)]
    firsts = [of_expert[0] if of_expert else names[0] for of_expert in own]
    what_if = [[(firsts[e], 0.6), (firsts[(e + 1) % num], 0.2)] for e in range(num)]
    return m.Routed(
        id=request.id,
        checkpoint_id=json.loads((folder / "manifest.json").read_text())["id"],
        name=config["name"],
        routing=config["routing"],
        layers=[5, 6],
        superclasses=config["superclasses"],
        probabilities=[shares],
        experts=[[expert]],
        classes=what_if[expert],
        what_if=what_if,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--checkpoint", "--cache", "--parent-pid"):
        parser.add_argument(name)
    options = parser.parse_args()
    behaviour = Path(options.checkpoint).name
    starts = Path(options.cache) / "starts"
    starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
    num_starts = len(starts.read_text())
    say(m.Loading(text="Loading fake"))
    print("a line of log", file=sys.stderr, flush=True)
    if behaviour == "damaged":
        say(m.Failed(sentence="The checkpoint is damaged: weights.safetensors is cut off.", exit_status=4))
        sys.exit(4)
    if behaviour == "dies at start" or (behaviour == "dies at first start" and num_starts == 1):
        print("no memory left", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    manifest = Path(options.checkpoint) / "manifest.json"
    checkpoint_id = json.loads(manifest.read_text())["id"] if manifest.exists() else "cloc-fake"
    if behaviour == "another":
        checkpoint_id = "cloc-another"
    say(m.Ready(checkpoint_id=checkpoint_id, name="fake", dim=4, device="CPU"))
    opened: set[str] = set()
    for line in iter(lambda: sys.stdin.buffer.raw.readline(), b""):  # type: ignore[attr-defined]
        request = m.read_request(line)
        text = request.texts[0] if isinstance(request, m.EncodeTexts) else ""
        if text == "die" or (text == "die once" and num_starts == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "babble" and num_starts == 1:
            os.write(1, b"libfoo: warning\n")
            time.sleep(5)
        say(answer(request, opened))


main()
