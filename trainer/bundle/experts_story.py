"""``python -m trainer.bundle.experts_story --data DIR``: what experts tell a person about her labels, and she them.

A quarter of the classes of Tiny-ImageNet, cells of the frozen packaged tower.  A second call goes on where one ended.

Three seeds, 50 classes, 4,000 photos shown, 612 test photos; mean and standard
deviation.  The dense twin: top-1 63.8 ± 2.5 %.

    superclasses                            kept         top-1        router   true route  largest load
    clusters                          22.2 ± 0.8    56.5 ± 2.6    75.2 ± 2.9   61.8 ± 1.9    20.0 ± 1.0
    pulled classes moved, 6.0 ± 1.7   27.1 ± 1.6    56.3 ± 1.9    77.5 ± 2.5   61.1 ± 2.5    23.5 ± 2.0
    regrouped by meaning (WordNet)    15.9 ± 0.6    56.0 ± 2.6    68.6 ± 1.9   61.8 ± 3.7    23.9 ± 1.6

So no edit changes the accuracy by more than chance.  Of 2,500 photos 125 have a wrong label, so 5 % are by chance;
shares that are wrong of the first so many in an order:

    order                                             another superclass         same superclass
                                                       50    100    200        50    100    200
    mismatched, the surest first                     48.7   44.3   34.8       4.7    5.7    5.5
    smallest margin of the router first               3.3    4.3    4.8       4.0    3.7    4.2
    class x expert cells with few images first       49.3   43.7   37.2      13.3   10.0    8.2
    least probable home expert first                 68.0   55.7   41.7       4.7    5.3    5.3
    surely another class by the model with experts   41.3   35.7   23.8      34.0   29.0   21.8
    least probable label of the model with experts   70.7   63.3   49.2      23.3   20.7   17.0
    least probable label of the dense twin           76.7   65.7   48.2      18.0   19.0   16.8
    least probable superclass of the dense twin      42.7   37.7   33.2       4.0    7.0    5.3

So routing finds labels of another superclass, nine times as often as chance, and none inside a superclass; the labels'
own probability by the dense twin finds both, and more; inside a superclass *surely another class* finds most.

Axes: S = photos, L = classes, E = experts.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import new_vmoe
from trainer.bundle.experts import say
from trainer.bundle.experts_arms import CELLS_COMPONENTS, NUM_EXPERTS, SEEDS, TABLES, Arm, Table, config_of
from trainer.bundle.experts_fitting import begin_larger, confusion, fit, look, worth
from trainer.bundle.experts_photos import (
    CELLS_A_CLASS,
    CELLS_HELD_OUT,
    CELLS_TESTED,
    Cells,
    class_names,
    components_of,
    fit_components,
    hierarchy_groups,
    last_of_each,
    tower_cells,
    training_photos,
    validation_photos,
)
from trainer.clusters import gains_of, superclasses_of, ties_of

EVERY = 4
"""One class in so many is used."""
NUM_PASSES = 4_000
WRONG = 0.05
LIMITS = (50, 100, 200)
DENSE, EXPERTS = TABLES["cells"].arms["dense"], TABLES["cells"].arms["superclass"]
ORDERS = {
    "mismatch": "mismatched, the surest first",
    "margin": "smallest margin of the router first",
    "cells": "class x expert cells with few images first",
    "home": "least probable home expert first",
    "another": "surely another class by the model with experts",
    "label": "least probable label of the model with experts",
    "plain": "least probable label of the dense twin",
    "plain_group": "least probable superclass of the dense twin",
}
_STEM_STD = 0.05
_MOST_OF_A_SHARE = 1.5

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]
Found = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Photos to learn from, to measure confusion on, and to test on; ``wordnet`` is the superclass of each class."""

    classes: tuple[str, ...]
    known: Cells
    held_out: Cells
    test: Cells
    wordnet: tuple[int, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bundle.experts_story", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--scratch", type=Path, default=Path("experts_story"), help="where cells and results are kept")
    parser.add_argument("--seed", type=int, nargs="+", default=SEEDS, help="these seeds alone (default: 0, 1 and 2)")
    parser.add_argument("--passes", type=int, default=NUM_PASSES, help="photos shown in each training")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    options.scratch.mkdir(parents=True, exist_ok=True)
    table = replace(TABLES["cells"], num_passes=options.passes)
    path = options.scratch / "story.json"
    found: dict[str, Found] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    data: Data | None = None
    for seed in options.seed:
        for story in STORIES:
            key = f"{story} {seed} {options.passes}"
            if key in found:
                continue
            data = data or read(options.data, options.scratch)
            clusters = found.get(f"edit {seed} {options.passes}", {}).get("clusters", ())
            found[key] = STORIES[story](data, table, seed, clusters)
            path.write_text(json.dumps(found), encoding="utf-8")
            say(f"{key}: {json.dumps(found[key])}")
    of_passes = [one for key, one in found.items() if key.endswith(f" {options.passes}")]
    print(edit_table([one for one in of_passes if "clusters" in one]))
    print(wrong_table([one for one in of_passes if "clusters" not in one]))
    return 0


def tell_of_an_edit(data: Data, table: Table, seed: int, _: Sequence[int]) -> Found:
    """Superclasses of clusters, then after each of two edits of a person; everything else is alike.

    Returns:
        ``dense``, its top-1; ``clusters``, the superclass of each class; and of ``before``, ``pulled`` and ``wordnet``:
        measures, how much of what is confused stays within a superclass, and how many classes have moved.
    """
    twin = trained(data, DENSE, table, data.known, (), seed)
    counts_LL = confusion(twin, data.held_out)
    clusters = clusters_of(counts_LL)
    told: Found = {"dense": worth(twin, DENSE, data.known, data.test, ())["top1"], "clusters": clusters.tolist()}
    edits = {"before": clusters, "pulled": after_pulls(counts_LL, clusters), "wordnet": np.array(data.wordnet)}
    for name, edited_L in edits.items():
        group_L = np.unique(edited_L, return_inverse=True)[1]  # one without classes is retired
        arm = _arm_for(group_L)
        model = trained(data, arm, table, data.known, tuple(group_L.tolist()), seed)
        measures = worth(model, arm, data.known, data.test, tuple(group_L.tolist()))
        told[name] = measures | {
            "kept": kept_share(counts_LL, group_L),
            "num_moved": int((edited_L != clusters).sum()) if name == "pulled" else 0,
            "num_groups": int(group_L.max()) + 1,
        }
    return told


def tell_of_wrong_labels(data: Data, table: Table, seed: int, clusters: Sequence[int], where: str) -> Found:
    """Labels that are wrong, of photos that are learnt from and of others, and how soon a person would come by them.

    Args:
        data: Its labels are right, or counted as such.
        table: How long is trained.
        seed: Of what is wrong, and of everything that is drawn in training.
        clusters: The superclasses that the project has from an earlier training.
        where: Wrong labels are of ``another`` superclass, or of the ``same`` one.

    Returns:
        For each of ``ORDERS`` the share of its first 50, 100 and 200 photos that are wrong, and its area under the ROC
        curve.
    """
    group_L = np.array(clusters)
    every = Cells(
        torch.cat([data.known.cells_SNF, data.held_out.cells_SNF]),
        torch.cat([data.known.labels_S, data.held_out.labels_S]),
    )
    label_S, is_wrong_S = with_wrong_labels(every.labels_S.numpy(), group_L, where == "same", seed)
    every = Cells(every.cells_SNF, torch.from_numpy(label_S))
    known = every.part(np.arange(len(data.known)))
    arm = _arm_for(group_L)
    dense = look(trained(data, DENSE, table, known, (), seed), every).probabilities_SL
    model = trained(data, arm, table, known, tuple(clusters), seed)
    router_SE = routed(model, every)
    orders = orders_of(label_S, group_L, router_SE, look(model, every).probabilities_SL, dense)
    told: Found = {"where": where, "num_wrong": int(is_wrong_S.sum()), "num": len(every)}
    told["num_mismatched"] = int((group_L[label_S] != router_SE.argmax(axis=1)).sum())
    for name, order_S in orders.items():
        right = {str(limit): float(is_wrong_S[order_S[:limit]].mean()) for limit in LIMITS}
        told[name] = right | {"auc": area_under(is_wrong_S[order_S])}
    return told


STORIES: dict[str, Callable[[Data, Table, int, Sequence[int]], Found]] = {
    "edit": tell_of_an_edit,
    "another": partial(tell_of_wrong_labels, where="another"),
    "same": partial(tell_of_wrong_labels, where="same"),
}


def orders_of(label_S: Ints, group_L: Ints, router_SE: Floats, experts_SL: Floats, dense_SL: Floats) -> dict[str, Ints]:
    """Photos in the order in which a person would look at them; see ``ORDERS``.

    "mismatch", "margin" and "another" are those of ``RoutingWish``, which sorts a collection.

    Args:
        label_S: What each photo is said to show.
        group_L: The superclass of each class, which is also its home among the experts.
        router_SE: Probabilities of the router.
        experts_SL: Probabilities of the classes by the model with experts.
        dense_SL: The same by its dense twin.
    """
    rows, expert_S, home_S = np.arange(len(label_S)), router_SE.argmax(axis=1), group_L[label_S]
    two = np.sort(router_SE, axis=1)[:, -2:]
    margin_S = (two[:, 1] - two[:, 0]).astype(np.float32)
    is_mismatch_S = expert_S != home_S
    counts_LE = np.zeros((len(group_L), router_SE.shape[1]), np.int64)
    np.add.at(counts_LE, (label_S, expert_S), 1)
    share_S = counts_LE[label_S, expert_S] / counts_LE.sum(axis=1)[label_S]
    group_SE = dense_SL @ (group_L[:, None] == np.arange(router_SE.shape[1]))
    return {
        "mismatch": np.lexsort((np.where(is_mismatch_S, -margin_S, 0), ~is_mismatch_S)),
        "margin": np.argsort(margin_S, kind="stable"),
        "cells": np.lexsort((-margin_S, share_S)),
        "home": np.argsort(router_SE[rows, home_S], kind="stable"),
        "another": np.argsort(
            np.where(experts_SL.argmax(axis=1) == label_S, 1, -1) * experts_SL.max(axis=1), kind="stable"
        ),
        "label": np.argsort(experts_SL[rows, label_S], kind="stable"),
        "plain": np.argsort(dense_SL[rows, label_S], kind="stable"),
        "plain_group": np.argsort(group_SE[rows, home_S], kind="stable"),
    }


def with_wrong_labels(label_S: Ints, group_L: Ints, same: bool, seed: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The labels, ``WRONG`` of them replaced by another class of the same superclass, or by one of another; and which.

    A class that is alone in its superclass keeps its labels where they shall stay in it.
    """
    draw = np.random.default_rng([seed, 7])
    others = [np.flatnonzero((group_L == group_L[one]) == same) for one in range(len(group_L))]
    others = [found[found != one] for one, found in enumerate(others)]
    can_S = np.flatnonzero([len(others[label]) > 0 for label in label_S])
    wrong = draw.choice(can_S, min(len(can_S), round(WRONG * len(label_S))), replace=False)
    changed_S = label_S.copy()
    changed_S[wrong] = [draw.choice(others[label]) for label in label_S[wrong]]
    return changed_S, changed_S != label_S


def after_pulls(counts_LL: Floats, group_L: Ints) -> Ints:
    """Every class that another superclass pulls, moved there: all that ``ConfusionGraph.pulls`` shows a person.

    Pulled is a class that is confused with another superclass two points more than with its own, both above chance.
    """
    gain_LE = gains_of(ties_of(counts_LL)) @ (group_L[:, None] == np.arange(group_L.max() + 1))
    rows, best_L = np.arange(len(group_L)), gain_LE.argmax(axis=1)
    there_L, own_L = gain_LE[rows, best_L], gain_LE[rows, group_L]
    return np.where(there_L - np.maximum(own_L, 0) >= 0.02, best_L, group_L)


def kept_share(counts_LL: Floats, group_L: Ints) -> float:
    """Of what is taken for another class, the share that is taken for one of the same superclass."""
    wrong_LL = counts_LL * ~np.eye(len(group_L), dtype=np.bool_)
    return float(wrong_LL[group_L[:, None] == group_L].sum() / wrong_LL.sum())


def area_under(is_wrong_S: NDArray[np.bool_]) -> float:
    """How often a wrong photo comes before a right one, of photos in an order."""
    before_S = np.cumsum(~is_wrong_S)
    return 1 - float(before_S[is_wrong_S].mean() / max(1, (~is_wrong_S).sum()))


def clusters_of(counts_LL: Floats) -> Ints:
    """Superclasses as for the bundled model."""
    equal = len(counts_LL) / NUM_EXPERTS
    most, least = math.ceil(_MOST_OF_A_SHARE * equal), int(equal // 2)
    return superclasses_of(counts_LL, NUM_EXPERTS, most, min_size=least)


def trained(data: Data, arm: Arm, table: Table, known: Cells, group_of: tuple[int, ...], seed: int) -> MobileVmoe:
    """A new model that has learnt, in evaluation mode."""
    names = tuple(f"superclass {group + 1}" for group in range(max(group_of, default=-1) + 1))
    torch.manual_seed(seed)
    model = new_vmoe(config_of(table, arm, data.classes, (names, group_of)))
    begin_larger(model)
    model.stem = nn.Linear(known.cells_SNF.shape[2], model.config.width)
    nn.init.trunc_normal_(model.stem.weight, std=_STEM_STD)
    nn.init.zeros_(model.stem.bias)
    fit(model, arm, table, known, group_of, seed)
    return model


@torch.inference_mode()
def routed(model: MobileVmoe, photos: Cells) -> NDArray[np.float32]:
    """What the router gives each expert, (S, E)."""
    parts = [model(photos.plain(rows_B)).router_BRE[:, 0] for rows_B in torch.arange(len(photos)).split(250)]
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def read(folder: Path, scratch: Path) -> Data:
    """One class in ``EVERY`` of Tiny-ImageNet; what the scratch folder does not have is computed."""
    names = class_names(folder)
    path = scratch / f"story_{EVERY}.npz"
    if not path.exists():
        np.savez(path, allow_pickle=False, **_components(folder, scratch))
    with np.load(path) as kept:
        parts = {name: torch.from_numpy(kept[name]) for name in kept.files}
    photos, test = Cells(parts["known"], parts["known_labels"]), Cells(parts["test"], parts["test_labels"])
    is_held_S = last_of_each(photos.labels_S.numpy(), CELLS_HELD_OUT)
    most = math.ceil(_MOST_OF_A_SHARE * len(names) / NUM_EXPERTS)
    wordnet = np.unique(hierarchy_groups(folder, NUM_EXPERTS, most)[::EVERY], return_inverse=True)[1]
    known, held_out = photos.part(np.flatnonzero(~is_held_S)), photos.part(np.flatnonzero(is_held_S))
    return Data(names[::EVERY], known, held_out, test, tuple(wordnet.tolist()))


def _components(folder: Path, scratch: Path) -> dict[str, NDArray[np.generic]]:
    """Components of the photos of the chosen classes, and the classes by their new numbers."""
    found: dict[str, NDArray[np.generic]] = {}
    components = None
    for name, file, photos in (
        ("known", "train_cells.npy", training_photos(folder, CELLS_A_CLASS)),
        ("test", "val_cells.npy", validation_photos(folder, CELLS_TESTED)),
    ):
        rows = np.flatnonzero(photos.labels_S.numpy() % EVERY == 0)
        cells_SNC = tower_cells(photos, scratch / file, say)[rows]
        components = components or fit_components(cells_SNC, CELLS_COMPONENTS)
        chosen = components_of(cells_SNC, photos.labels_S[rows] // EVERY, components)
        found |= {name: chosen.cells_SNF.numpy(), f"{name}_labels": chosen.labels_S.numpy()}
    return found


def edit_table(found: Sequence[Found]) -> str:
    """Superclasses before and after, as text; means of the seeds and how far they are apart."""
    titles = {"before": "clusters", "pulled": "pulled classes moved", "wordnet": "regrouped by meaning (WordNet)"}
    rows: list[tuple[str, ...]] = [
        ("superclasses", "classes moved", "kept", "top-1", "router", "true route", "largest load", "dead")
    ]
    for name, title in titles.items():
        each = [one[name] for one in found]
        loads = [{"most": max(load for row in one["load"] for load in row)} for one in each]
        measures = ("kept", "top1", "router_accuracy", "oracle_route_top1")
        rows.append(
            (
                title,
                _spread(each, "num_moved", 1.0) if name == "pulled" else "",
                *(_spread(each, measure) for measure in measures),
                _spread(loads, "most"),
                _spread(each, "num_dead", 1.0),
            )
        )
    return _aligned(rows) + f"\nThe dense twin: top-1 {_spread(found, 'dense')}\n"


def wrong_table(found: Sequence[Found]) -> str:
    """How soon wrong labels come, as text."""
    parts = []
    for where in ("another", "same"):
        each = [one for one in found if one["where"] == where]
        rows: list[tuple[str, ...]] = [
            (f"wrong: {where} superclass", *(f"first {limit}" for limit in LIMITS), "found of all", "area")
        ]
        for name, title in ORDERS.items():
            of_order = [one[name] for one in each]
            recall = [{"all": LIMITS[-1] * one[name][str(LIMITS[-1])] / one["num_wrong"]} for one in each]
            cells = (*(_spread(of_order, str(limit)) for limit in LIMITS), _spread(recall, "all"))
            rows.append((title, *cells, _spread(of_order, "auc")))
        parts.append(_aligned(rows) + f"\nmismatched: {_spread(each, 'num_mismatched', 1.0)} of {each[0]['num']}\n")
    return "\n".join(parts)


def _arm_for(group_L: Ints) -> Arm:
    return replace(EXPERTS, changes={**EXPERTS.changes, "num_experts": int(group_L.max()) + 1})


def _spread(found: Sequence[Mapping[str, object]], name: str, scale: float = 100.0) -> str:
    values = scale * np.array([one[name] for one in found], np.float64)
    return f"{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0.0:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
