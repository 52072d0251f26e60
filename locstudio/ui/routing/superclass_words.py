"""What is said of classes, confusions and superclasses, in sentences."""

from collections.abc import Sequence

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui.plain_text import shown
from locstudio.ui.routing.superclass_picture import NEW, GraphPicture


def percent(share: float) -> str:
    """A share in words: "31 %", and "0.4 %" where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0 else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two shares: "+1.2 points", "−0.4 points"."""
    return f"{100 * difference:+.1f} points".replace("-", "−")


def above_chance(gain: float) -> str:
    """How much more than by chance, in points without a unit: "+2.4", "−0.3"."""
    return f"{100 * gain:+.1f}".replace("-", "−")


def than_chance(gain: float) -> str:
    """The same in a sentence: "2.4 points more than by chance"."""
    return f"{abs(100 * gain):.1f} points {'more' if gain >= 0 else 'less'} than by chance"


def classes_of(count: int) -> str:
    """A number of classes: "1 class", "3 classes"."""
    return f"{count:,} {'class' if count == 1 else 'classes'}"


def superclasses_of(count: int) -> str:
    """A number of superclasses: "1 superclass", "3 superclasses"."""
    return f"{count:,} {'superclass' if count == 1 else 'superclasses'}"


def quoted(text: str) -> str:
    """A name of a person's, in a sentence."""
    return f"“{shown(text, 60)}”"


def class_sentence(picture: GraphPicture, class_id: int) -> str:
    """A class: its superclass, what it was given in its own images, and what it is confused with most."""
    graph = picture.graph
    group = picture.group(picture.group_of.get(class_id, WITHOUT))
    where = f"in {quoted(group.name)}" if group is not None and group.key != WITHOUT else "without a superclass"
    itself = graph.itself_share(class_id)
    if itself is None:
        return f"{quoted(picture.name_of(class_id))}, {where}. The run has not seen it."
    parts = [f"{quoted(picture.name_of(class_id))}, {where}: itself {percent(itself)} on average"]
    most = graph.partners(class_id, 1)
    if most:
        parts.append(f"confused most with {quoted(most[0].name)} ({percent(most[0].taken_for)} is taken for it)")
    pull = picture.pulls.get(class_id)
    target = picture.group(pull.group) if pull is not None else None
    sentence = ", ".join(parts) + "."
    return f"{sentence} It is tied more to {quoted(target.name)} than to its own." if target else sentence


def edge_sentence(picture: GraphPicture, edge: int) -> str:
    """A confusion in both directions, given it by its number."""
    ids = picture.graph.class_ids
    return edge_sentence_of(picture, int(ids[picture.edges.first[edge]]), int(ids[picture.edges.second[edge]]))


def edge_sentence_of(picture: GraphPicture, first_id: int, second_id: int) -> str:
    """A confusion in both directions, given it by its classes."""
    one, other = quoted(picture.name_of(first_id)), quoted(picture.name_of(second_id))
    there, back = picture.graph.between(first_id, second_id)
    return f"{percent(there)} of {one} is taken for {other}, {percent(back)} of {other} for {one}."


def area_sentence(picture: GraphPicture, key: int) -> str:
    """A superclass: how many classes it has, and how much of what they are confused with stays inside."""
    group = picture.group(key)
    if group is None:
        return ""
    inside = inside_share(picture, key)
    kept = f", {percent(inside)} of their confusion stays inside" if inside is not None and key != WITHOUT else ""
    return f"{quoted(group.name)}: {group.num_words}{kept}."


def inside_share(picture: GraphPicture, key: int) -> float | None:
    """Of what was taken for another class in the images of a superclass, the share that stayed inside."""
    group, graph = picture.group(key), picture.graph
    places = [place for place in map(graph.position, group.class_ids) if place >= 0] if group is not None else []
    if not places:
        return None
    itself = float(graph.counts_LL[places, places].sum())
    others = float(graph.totals_L[places].sum()) - itself
    return (float(graph.counts_LL[places][:, places].sum()) - itself) / others if others > 0 else None


def drop_sentence(picture: GraphPicture, class_ids: Sequence[int], target: int | None, area: int | None = None) -> str:
    """What letting go of these classes over a superclass would do, and what it would keep inside superclasses."""
    if target is None:
        return ""
    group = picture.group(target)
    what = quoted(picture.name_of(class_ids[0])) if len(class_ids) == 1 else classes_of(len(class_ids))
    source = picture.group(area) if area is not None else None
    if source is not None and group is not None:
        says = f"Merge {quoted(source.name)} into {quoted(group.name)}"
    elif target == NEW:
        says = f"New superclass of {what}"
    elif target == WITHOUT:
        says = f"Take {what} out"
    else:
        says = f"Move {what} to {quoted(group.name)}" if group is not None else ""
    groups = picture.group_of
    before, after = picture.graph.kept_share(groups), None
    if before is not None:
        after = picture.graph.kept_share(groups | dict.fromkeys(class_ids, target))
    return (
        f"{says} · kept inside {percent(before)} → {percent(after)}"
        if before is not None and after is not None
        else says
    )
