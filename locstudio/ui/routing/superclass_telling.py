"""What the editor of superclasses says of what it shows."""

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui.heatmaps.page_empty import EmptyPane
from locstudio.ui.notice_bar import NoticeBar
from locstudio.ui.routing.superclass_head import SuperclassHead
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import SuperclassBase
from locstudio.ui.routing.superclass_words import classes_of, percent, superclasses_of

_SUGGESTED = (
    "The run suggests these superclasses: clusters of what its dense twin confuses. Nobody has taken them over yet; "
    "your first change does."
)
_NO_RUN = (
    "No run has measured yet what is confused with what. Training experts does, and suggests superclasses; "
    "you can also make them by hand here, and the training uses them."
)


def tell(
    head: SuperclassHead, notice: NoticeBar, empty: EmptyPane, base: SuperclassBase, picture: GraphPicture
) -> None:
    """Say how good the superclasses are, and what stands in the way of newer ones."""
    groups = [group for group in picture.groups if group.key != WITHOUT]
    kept = picture.graph.kept_share(picture.group_of)
    words = f"{superclasses_of(len(groups)) if groups else 'No superclass'} of {classes_of(len(picture.graph))}"
    if kept is not None and groups:
        words += f" · {percent(kept)} of what is confused stays inside"
    head.set_words(words, can_take=base.is_suggestion, has_classes=bool(len(picture.graph)))
    if not len(picture.graph):
        empty.say(
            "No classes yet",
            "Superclasses are groups of classes. Import labels, or give boxes a class; then come back.",
        )
    _tell_state(notice, base, has_classes=bool(len(picture.graph)))


def _tell_state(notice: NoticeBar, base: SuperclassBase, *, has_classes: bool) -> None:
    """Say what stands in the way of the newest superclasses, if anything does."""
    if not has_classes:
        notice.hide()
    elif base.problem:
        notice.say("problem", base.problem, is_problem=True)
    elif not base.runs:
        notice.say("no run", _NO_RUN, "Train experts…")
    elif base.is_suggestion:
        notice.say("suggestion", _SUGGESTED)
    elif base.running:
        notice.say("running", base.running)
    else:
        notice.hide()
