"""The rules of geometry as a person reads them, and their thresholds as numbers of a slider."""

from dataclasses import dataclass, replace

from locstudio.services.curation.geometry import GeometrySettings, Rule
from locstudio.ui.curation.rule_card import ShownRule


@dataclass(frozen=True, slots=True)
class _Threshold:
    """The field of the settings that a rule reads, and how far its slider goes."""

    field: str
    low: float
    high: float
    unit: str
    decimals: int


_THRESHOLDS = {
    Rule.SLIVER: _Threshold("max_aspect", 2.0, 30.0, "Longer than {value} : 1", 0),
    Rule.TINY: _Threshold("min_side_px", 2.0, 64.0, "Shorter side below {value} px", 0),
    Rule.NESTED: _Threshold("nested_share", 0.5, 1.0, "At least {value} of it inside", 2),
    Rule.OUTSIDE: _Threshold("border_px", 1.0, 24.0, "Within {value} px of the border", 0),
    Rule.DUPLICATE: _Threshold("duplicate_iou", 0.5, 0.98, "Overlap above {value}", 2),
}
_WORDS = {
    Rule.SLIVER: ("Slivers", "Far longer than wide.", "Reject", "Rejects them: a box this thin is seldom a thing."),
    Rule.TINY: ("Tiny", "Too small to tell what it is.", "Reject", "Rejects them: there is too little to learn from."),
    Rule.NESTED: (
        "Nested",
        "Inside another box of the same name.",
        "Reject",
        "Rejects the inner box; the larger one stays.",
    ),
    Rule.OUTSIDE: (
        "Short of the border",
        "Ends just before the edge of the picture.",
        "Extend",
        "Moves the side to the edge of the picture that it was meant to reach.",
    ),
    Rule.DUPLICATE: (
        "Duplicates",
        "Drawn twice under the same name.",
        "Reject",
        "Rejects the worse of each pair; what you drew or accepted stays.",
    ),
}


def shown_rule(rule: Rule, settings: GeometrySettings, count: int | None) -> ShownRule:
    """A rule with its threshold as it is set."""
    title, words, fix, effect = _WORDS[rule]
    threshold = _THRESHOLDS[rule]
    return ShownRule(
        name=rule.value,
        title=title,
        words=words,
        fix=fix,
        effect=effect,
        count=count,
        value=float(getattr(settings, threshold.field)),
        low=threshold.low,
        high=threshold.high,
        unit=threshold.unit,
        decimals=threshold.decimals,
    )


def with_threshold(settings: GeometrySettings, rule: Rule, value: float) -> GeometrySettings:
    """The settings with another threshold for a rule."""
    return replace(settings, **{_THRESHOLDS[rule].field: value})
