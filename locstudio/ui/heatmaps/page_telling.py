"""What the heatmaps page says of what it lists: counts, classes, and why there is nothing."""

import numpy as np

from locstudio.domain.text import counted
from locstudio.services.heat.known import NEGATIVE, POSITIVE, UNKNOWN
from locstudio.ui.heatmaps.page import HeatPage
from locstudio.ui.heatmaps.page_classes import ALL, ClassRow
from locstudio.ui.heatmaps.page_reading import HeatBase, NoHeat
from locstudio.ui.heatmaps.page_table import HeatTable, HeatView
from locstudio.ui.heatmaps.page_wish import Wish

_NO_HEAT = (
    "Heatmaps come with training the classes: for each image and class they show where the model sees the class, "
    "averaged over the epochs. What it has come to see and nobody has labelled is listed here then."
)
_NO_LABELS = (
    "The classes of images are learnt from labels, and nothing is labelled yet. Import a folder for each class or a "
    "table of images and classes, or give boxes a class; then train the heatmaps."
)


def tell(page: HeatPage, base: HeatBase, wish: Wish) -> None:
    """Say how much is listed, and how much of it is decided."""
    model = page.model
    added, denied = model.num_said()
    num_rows, num_done = len(model.rows), added + denied
    if wish.view is HeatView.EXPECTED:
        words = ((added, f"{added:,} added"), (denied, f"{denied:,} denied"))
        done = " · ".join(text for count, text in words if count)
        page.head.set_words(f"{num_rows:,} expected, not labelled", done, num_done / num_rows if num_rows else 0.0)
        page.filters.set_num_shown(f"{num_rows:,} expected", num_done)
        return
    present, absent = (int(np.count_nonzero(model.table.presence == code)) for code in (POSITIVE, NEGATIVE))
    item = page.images_model.item_of(wish.image_id)
    is_class = wish.view is HeatView.ONE_CLASS
    title = base.book.class_name(wish.class_id) if is_class else item.image.name if item is not None else ""
    page.head.set_words(title, f"{present:,} present · {absent:,} absent", -1)
    page.filters.set_num_shown(counted(num_rows, "image") if is_class else _classes(num_rows), num_done)


def list_classes(page: HeatPage, base: HeatBase, wish: Wish) -> None:
    """List the classes with how much is expected of each, or how many images are known to have each."""
    table = page.model.table
    is_expected = wish.view is HeatView.EXPECTED
    if is_expected:
        is_above = table.scores >= np.float32(wish.min_score)
        ids, counts = np.unique(table.class_ids[is_above & (table.presence == UNKNOWN)], return_counts=True)
        count_of = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        if wish.only != ALL:
            count_of.setdefault(wish.only, 0)
        page.classes.set_scores(table.scores, int(np.count_nonzero(is_above)))
    else:
        count_of = base.num_present()
    rows = [
        ClassRow(entry.id, entry.name, entry.color, count_of[entry.id])
        for entry in base.classes
        if entry.id in count_of and not entry.is_retired
    ]
    page.classes.set_classes(sorted(rows, key=lambda row: (-row.count, row.name)), has_all=is_expected)
    page.classes.set_chosen(wish.only if is_expected else wish.class_id)


def why_empty(table: HeatTable, wish: Wish) -> str:
    """Why no row is shown."""
    if wish.view is not HeatView.EXPECTED:
        return "The run has not seen this."
    if np.any(table.presence == UNKNOWN):
        return "Nothing is expected here with so high a score. Lower the least score, or look at all classes."
    return "Nothing is expected that is not labelled. Train on, or look at one class in all images."


def say_no_heat(page: HeatPage, found: NoHeat) -> None:
    """Say why there is no heat, with what helps."""
    running = next((run for run in found.runs if run.is_running), None)
    page.head.set_words("", "", -1)
    if running is not None:
        page.empty.say("The first epoch is on its way", "Its heat is shown here as soon as it is whole.")
    elif found.num_labels:
        page.empty.say("No heatmaps yet", _NO_HEAT, "Train heatmaps…", "train")
    else:
        page.empty.say("No heatmaps yet", _NO_LABELS, "Import annotations…", "import_annotations")


def _classes(count: int) -> str:
    return f"{count:,} {'class' if count == 1 else 'classes'}"
