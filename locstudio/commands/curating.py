"""Commands that decide about pseudo-labels: review many at once, and the phrases they go by."""

import argparse
from collections import Counter
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from locstudio.commands import search
from locstudio.commands.opening import class_id_of, opened
from locstudio.commands.output import print_json, say
from locstudio.domain.edits import Edit
from locstudio.domain.errors import BadInput, CheckpointMismatch, StaleIndex, UserError
from locstudio.domain.regions import Origin, Review
from locstudio.domain.text import counted, shown
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.checkpoints import active_folder
from locstudio.services.curation import deciding
from locstudio.services.curation.geometry import Rule
from locstudio.services.curation.phrases import map_phrases, merge_candidates, merge_phrases, phrase_table
from locstudio.services.curation.pool import Pool, read_pool
from locstudio.services.curation.view import Order, Wish, rows_of
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

_ACTIONS = {"accept": deciding.accept, "reject": deciding.reject, "pending": deciding.to_pending}
_NUM_PHRASES_SAID = 10


def review(options: argparse.Namespace) -> int:
    """Accept, reject or take back everything that meets the filters, in one undo step."""
    with opened(options.project, read_only=options.dry_run) as (project, dataset):
        pool = read_pool(project, dataset)
        rows = _chosen(options, dataset, pool)
        num_changes = 0
        if not options.dry_run:
            edit = _ACTIONS[options.action](dataset, pool, rows)
            dataset.apply(edit)
            num_changes = len(edit.changes)
        _print_review(options, pool, rows, num_changes)
    return 0


def phrases(options: argparse.Namespace) -> int:
    """List the phrases of the project, map or merge them; with a box, rank the collection's phrases for it."""
    if options.image or options.box:
        if not (options.image and options.box):
            raise UserError(
                "A box needs its image: --image IMAGE with --box x0,y0,x1,y1. Without both, phrases are listed."
            )
        return search.phrases(options)
    is_writing = bool(options.map or options.merge)
    with opened(options.project, read_only=not is_writing) as (project, dataset):
        edits = [_mapping(dataset, options.map)] if options.map else []
        for edit in edits:
            dataset.apply(edit)
        for text in options.merge or ():
            edits.append(_merging(dataset, text))
            dataset.apply(edits[-1])
        pool = read_pool(project, dataset)
        if options.similar:
            _print_similar(options, pool, vocabulary_of(project, dataset))
        elif is_writing:
            _print_edits(options, edits)
        else:
            _print_phrases(options, pool)
    return 0


def vocabulary_of(project: Project, dataset: Dataset) -> Vocabulary | None:
    """The vocabulary of the project's active checkpoint; None while the collection has not been embedded by it."""
    with suppress(StaleIndex, CheckpointMismatch, BadInput):
        return Vocabulary.open(project.index, checkpoint_info(active_folder(project, dataset)).id)
    return None


def _chosen(options: argparse.Namespace, dataset: Dataset, pool: Pool) -> NDArray[np.int64]:
    takes_back = options.action == "pending"
    # What a file has brought as accepted was never reviewed here, so it is not taken back unless it is named.
    origins = options.origin or (["model", "edited"] if takes_back else [])
    wish = Wish(
        min_score=options.min_score,
        max_overlap=options.max_overlap,
        reviews=frozenset({Review.ACCEPTED, Review.REJECTED} if takes_back else {Review.PENDING}),
        origins=frozenset(Origin(origin) for origin in origins),
        phrases=frozenset(options.phrase or ()),
        class_ids=frozenset(class_id_of(dataset, name) for name in options.class_name or ()),
        rules=frozenset(Rule(rule) for rule in options.rule or ()),
        runs=frozenset({_run_of(pool, options.run)} if options.run else ()),
        order=Order.SCORE,
    )
    rows = rows_of(pool, wish)
    if options.max_score is not None:
        rows = rows[pool.scores[rows] <= np.float32(options.max_score)]
    if takes_back:  # the thresholds speak only of what waits
        rows = rows[~(pool.scores[rows] < np.float32(np.float16(options.min_score)))]
    return rows if options.limit is None else rows[: options.limit]


def _print_review(options: argparse.Namespace, pool: Pool, rows: NDArray[np.int64], num_changes: int) -> None:
    counts = Counter(pool.phrases[row] for row in pool.phrase_rows[rows].tolist())
    num_raw = int(np.count_nonzero(pool.region_ids[rows] == 0))
    if options.json:
        print_json(
            {
                "action": options.action,
                "dry_run": options.dry_run,
                "chosen": len(rows),
                "raw": num_raw,
                "regions": len(rows) - num_raw,
                "changes": num_changes,
                "phrases": dict(counts.most_common()),
                "problems": list(pool.problems),
            }
        )
        return
    done = {"accept": "accepted", "reject": "rejected", "pending": "taken back"}[options.action]
    say(f"{len(rows)} {'box' if len(rows) == 1 else 'boxes'} {'would be ' if options.dry_run else ''}{done}")
    for phrase, count in counts.most_common(_NUM_PHRASES_SAID):
        say(f"{count:7}  {shown(phrase) or '(no phrase)'}")
    if len(counts) > _NUM_PHRASES_SAID:
        say(f"         and {counted(len(counts) - _NUM_PHRASES_SAID, 'phrase')} more")
    for problem in pool.problems:
        say(problem)


def _print_phrases(options: argparse.Namespace, pool: Pool) -> None:
    table = phrase_table(pool)
    if options.json:
        rows = [
            {
                "phrase": row.phrase,
                "count": row.num,
                "pending": row.num_pending,
                "accepted": row.num_accepted,
                "rejected": row.num_rejected,
                "class": pool.class_name(row.class_id or 0) or None,
                "stands_for": list(row.stands_for),
            }
            for row in table
        ]
        rules = [
            {"phrase": rule.phrase, "becomes": rule.becomes, "class": pool.class_name(rule.class_id or 0) or None}
            for rule in pool.rules.values()
        ]
        print_json({"phrases": rows, "rules": rules, "problems": list(pool.problems)})
        return
    say("  count  accepted  rejected  phrase")
    for row in table:
        name = pool.class_name(row.class_id or 0)
        more = f"  -> {shown(name)}" if name else ""
        more += f"  (also {', '.join(map(shown, row.stands_for))})" if row.stands_for else ""
        say(f"{row.num:7}  {row.num_accepted:8}  {row.num_rejected:8}  {shown(row.phrase)}{more}")


def _print_similar(options: argparse.Namespace, pool: Pool, vocabulary: Vocabulary | None) -> None:
    groups = merge_candidates(pool, vocabulary)
    if options.json:
        print_json(
            {
                "groups": [
                    {
                        "canonical": group.canonical,
                        "count": group.num,
                        "others": [
                            {"phrase": other.phrase, "count": other.num, "likeness": round(other.likeness, 5)}
                            for other in group.others
                        ],
                    }
                    for group in groups
                ]
            }
        )
        return
    for group in groups:
        others = ", ".join(f"{shown(other.phrase)} ({other.likeness:.2f})" for other in group.others)
        say(f"{shown(group.canonical)}: {others}")
    if not groups:
        say("No two phrases are alike enough to be one.")


def _print_edits(options: argparse.Namespace, edits: list[Edit]) -> None:
    if options.json:
        print_json({"edits": [{"title": edit.title, "changes": len(edit.changes)} for edit in edits]})
        return
    for edit in edits:
        say(f"{shown(edit.title)}: {counted(len(edit.changes), 'change')}")


def _mapping(dataset: Dataset, texts: list[str]) -> Edit:
    class_of: dict[str, int | None] = {}
    for text in texts:
        phrase, name = _halves(text, '--map "PHRASE=CLASS"')
        class_of[phrase] = class_id_of(dataset, name) if name else None
    return map_phrases(dataset, class_of)


def _merging(dataset: Dataset, text: str) -> Edit:
    given, canonical = _halves(text, '--merge "A,B,C=CANONICAL"')
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names or not canonical:
        raise UserError(f'--merge needs phrases and the one they become, as in "A,B,C=CANONICAL", not {text!r}.')
    return merge_phrases(dataset, names, canonical)


def _halves(text: str, wanted: str) -> tuple[str, str]:
    left, sign, right = text.rpartition("=")
    if not sign or not left.strip():
        raise UserError(f"Say {wanted}, not {text!r}.")
    return left.strip(), right.strip()


def _run_of(pool: Pool, name: str) -> str:
    found = [run for run in pool.runs if run == name] or [run for run in pool.runs if name in run]
    if len(found) != 1:
        what = f"{len(found)} runs with proposals are called" if found else "No run with proposals is called"
        raise UserError(f"{what} {shown(name)!r}.")
    return found[0]
