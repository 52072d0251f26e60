"""What a tour has seen, in words: a few lines for the terminal, and a page for a person."""

from pathlib import Path
from typing import Any

_NUM_ROWS = 6
_TITLES = {
    "1-collection": "The collection",
    "2-search-by-box": "Search by a box",
    "3-search-by-words": "Search by words",
    "4-find-in-image": "Words found in the open image",
    "5-editing": "A box in hand, beside the table of regions",
    "6-curation": "Proposals under review",
    "7-alike": "The identical mistakes of one correction",
    "8-canvas-pass": "Proposals one after another on the canvas",
    "9-expected": "Expected, but not labelled",
    "10-one-class": "One class in all images, where heat and labels disagree most first",
    "11-one-image": "All classes of one image",
    "12-heat": "Heat over the picture",
    "13-earlier-epoch": "The same some epochs earlier",
    "14-correction": "Evidence painted in",
    "15-experts": "Experts, and the images that one of them takes",
    "16-matrix": "Classes and experts, with the images of one cell",
    "17-load": "Load of the experts over the training",
    "18-superclasses": "Superclasses on the graph of what is confused",
    "19-superclass-moved": "A class that was moved",
    "20-what-if": "What another expert would have said",
    "21-retrain": "What a training would take",
    "22-training": "Retraining",
    "23-what-changed": "What has changed",
    "24-light": "The light theme",
}


def summary(report: dict[str, Any], folder: Path) -> list[str]:
    """The tour in lines for a terminal."""
    box, words, place = report["search_by_box"], report["search_by_words"], report["find_in_image"]
    retrain, curation = report["retrain"], report["curation"]
    return [
        f"{report['images']:,} images, {report['regions']:,} regions, {report['device']}.",
        f"First hits {report['seconds_to_first_hits']:.1f} s after the start.",
        f"Box around “{box['phrase_of_the_box']}” in {box['image']}, answered in {_ms(box['seconds'])}:",
        f"  phrases: {_phrases(box['phrases'])}",
        f"  hits: {_hits(box['hits'])}",
        f"Words “{words['words']}”, answered in {_ms(words['seconds'])}:",
        f"  hits: {_hits(words['hits'])}",
        f"“{place['words']}” found in {place['image']} with score {place['score']:.2f}.",
        _proposed(curation),
        f"  {_decided(curation)}",
        *_heat(report["heatmaps"]),
        *_experts(report["experts"]),
        f"Retraining on {retrain['learns_from'].split(' images')[0]} images: estimated {retrain['time']};",
        f"  it took {_seconds(retrain['seconds_to_train'])}, and {_seconds(retrain['seconds_to_compare'])} to compare.",
        f"  {_metrics(retrain)}",
        f"Pictures and report: {folder / 'report.md'} (for programs: report.json)",
    ]


def page(report: dict[str, Any]) -> str:
    """The tour as a page of Markdown beside its pictures."""
    box, words, place = report["search_by_box"], report["search_by_words"], report["find_in_image"]
    retrain, curation = report["retrain"], report["curation"]
    told = {
        "1-collection": [f"{report['images']:,} images with {report['regions']:,} regions."],
        "2-search-by-box": [
            f"The box lies around “{box['phrase_of_the_box']}” in {box['image']}. {_stand_out(box)}",
            "",
            f"Phrases of the collection that fit it best: {_phrases(box['phrases'])}.",
            "",
            *_table(box["hits"]),
        ],
        "3-search-by-words": [f"“{words['words']}”. {_stand_out(words)}", "", *_table(words["hits"])],
        "6-curation": [_proposed(curation), "", _decided(curation)],
        "7-alike": [curation["alike"] or "Nothing else looked like the item that was corrected."],
        "8-canvas-pass": [f"{curation['canvas_pass']:,} regions to review in this image."],
        "9-expected": _heat(report["heatmaps"]),
        "15-experts": _loads(report["experts"]),
        "19-superclass-moved": _moved(report["experts"]),
        "20-what-if": _experts(report["experts"]),
        "21-retrain": [
            f"{retrain['learns_from']} On {retrain['where']}: {retrain['time']}; memory {retrain['memory']}, "
            f"disk {retrain['disk']}. Measured in {retrain['seconds_to_measure']:.0f} s."
        ],
        "22-training": [f"It took {_seconds(retrain['seconds_to_train'])}. {_metrics(retrain)}"],
        "23-what-changed": [
            f"Compared with the model in use in {_seconds(retrain['seconds_to_compare'])}:",
            "",
            *(f"- {sentence}" for sentence in retrain["gate"]),
        ],
        "4-find-in-image": [f"“{place['words']}” is most likely here in {place['image']}, score {place['score']:.2f}."],
    }
    lines = [
        "# A tour of LocStudio",
        "",
        f"Model: {report['device']}. First hits {report['seconds_to_first_hits']:.1f} s after the start.",
    ]
    for name in (Path(picture).stem for picture in report["pictures"]):
        title = _TITLES.get(name, name)
        lines += ["", f"## {title}", "", *told.get(name, []), "", f"![{title}]({name}.png)"]
    return "\n".join(lines) + "\n"


def _proposed(curation: dict[str, Any]) -> str:
    return (
        f"{curation['raw_proposals']:,} raw proposals in {curation['images']} images in "
        f"{_seconds(curation['seconds_to_propose'])}, {curation['to_review']:,} of them above the thresholds."
    )


def _decided(curation: dict[str, Any]) -> str:
    return f"A key decides; the next item was current in {_ms(curation['seconds_a_decision'])}. All was undone again."


def _heat(heat: dict[str, Any]) -> list[str]:
    """Nothing where the project has no heatmaps."""
    if not heat:
        return []
    return [
        f"{heat['expected']:,} classes of images expected and not labelled; "
        f"the next one was current {_ms(heat['seconds_a_decision'])} after a key."
    ]


def _experts(experts: dict[str, Any]) -> list[str]:
    """Nothing where no experts have seen the images."""
    if not experts:
        return []
    asked = experts["asked"]
    name, share = asked["class"]
    other_name, other_share = asked["other_class"]
    return [
        f"{asked['image']} went to expert {asked['expert']} by {asked['margin']:.2f}, which says {name} ({share:.2f}); "
        f"expert {asked['other']} would have said {other_name} ({other_share:.2f})."
    ]


def _loads(experts: dict[str, Any]) -> list[str]:
    if not experts:
        return []
    loads = ", ".join(f"{name} ({count})" for name, count in experts["experts"])
    return [f"Images of each expert: {loads}. {experts['mismatched']} went to another one than their class belongs to."]


def _moved(experts: dict[str, Any]) -> list[str]:
    return [f"“{experts['moved']}” was put where it is confused, and back."] if experts.get("moved") else []


def _metrics(retrain: dict[str, Any]) -> str:
    before, after = retrain["before"], retrain["after"]
    if "top1" not in before or "top1" not in after:
        return "Nothing was held out, so nothing was measured."
    return f"Regions held out and named right: {before['top1']:.1%} before, {after['top1']:.1%} after."


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"


def _stand_out(search: dict[str, Any]) -> str:
    num = search["stand_out"]
    what = "region stands" if num == 1 else "regions stand"
    return f"{num or 'No'} {what} out; answered in {_ms(search['seconds'])}."


def _table(hits: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"| {_cell(hit['phrase'] or 'proposed box')} | {hit['score']:.2f} | {_cell(hit['image'])} |"
        for hit in hits[:_NUM_ROWS]
    ]
    return ["| hit | score | image |", "| --- | --- | --- |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _phrases(phrases: list[list[Any]]) -> str:
    return ", ".join(f"{phrase} {score:.2f}" for phrase, score in phrases[:4])


def _hits(hits: list[dict[str, Any]]) -> str:
    return ", ".join(f"{hit['phrase'] or 'proposed box'} {hit['score']:.2f} ({hit['image']})" for hit in hits[:4])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
