"""Train a Mobile V-MoE (arXiv:2309.04354): a dense twin, what it confuses, superclasses of that, then experts.

Stages, through which steps are counted on:

    dense twin      learns from most images; what it confuses is asked of the others (``confusion_share``)
    superclasses    the person's as the snapshot has them, else clusters; written to ``results/confusion``
    experts         L = L_C + 0.3 CE(router, superclass), from the twin's weights on, with all images to learn from

Which expert looks at which image is written to ``results/routing`` after the epochs that are worth it, of all that is
labelled and some that is not; and in the end of every image of the collection, by the best checkpoint.  Where a
checkpoint is named, the run goes on from its experts and has no twin.

What it does with 3,969 photos of Caltech-101 in 101 classes, 830 of them held out, ten clusters, seed 0, one core:

    dense twin, 2 epochs    top-1 .846          then experts, 2 epochs    top-1 .901, router .940
    dense twin, 8 epochs    top-1 .945 (an epoch of 2,500 photos takes 25 CPU seconds)

Cells take some 40 CPU ms a photo, once.  No gain over a dense twin that learns as long is claimed by this.

Measured beside it, by ``python -m trainer.bundle.experts --data DIR --out assets/checkpoints/vmoe-lite`` (all tables in
``claims.md`` there): top-1 in % over three seeds at equal inference FLOPs.  Tiny-ImageNet at 64 px from scratch, width
48, 5 layers, 123,000 photos shown, which is what a CPU allowed:

    dense                          7.79 ± 0.22    7.54 / 7.88 / 7.96
    superclass per image           8.14 ± 0.13    8.16 / 8.26 / 8.00    above dense in 3 of 3, by less than the noise
    end-to-end per image           8.08 ± 0.24    8.34 / 7.88 / 8.02    superclass is above it in 1 of 3
    random expert for each image   7.16 ± 0.43    7.52 / 7.28 / 6.68
    oracle (told the superclass)  20.01 ± 0.53   20.48 / 19.44 / 20.10

On the frozen tower's cells, 40,000 photos shown: dense 56.29 ± 0.61, superclass 54.19 ± 0.20, end-to-end 56.95 ± 0.54,
random 54.29 ± 1.13; 40,000 more: upcycled with superclasses 58.79 ± 0.17, the dense twin 59.37 ± 0.29.  There
superclasses do not pay on so few photos; a router of tokens is better (+4 points) and decides nothing about an image.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, LocStudioError
from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.confusions import Confusion, ConfusionHeader, has_confusion, read_confusion, write_confusion
from locstudio.jobs.training_files import held_out_file, read_best, write_document
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe, new_vmoe
from locstudio.store.dataset import open_snapshot
from trainer.checkpoint import restore_step, step_folders
from trainer.class_batches import steps_in_epoch
from trainer.context import RunContext
from trainer.device import describe_device, use_fast_products
from trainer.history import RunHistory
from trainer.label_reading import Ints
from trainer.optim import make_optimizer
from trainer.recipes.train_cloc import require_space
from trainer.recipes.vmoe_groups import Groups, group_classes, sentence_about
from trainer.recipes.vmoe_lesson import MIN_OF_CLASS, VmoeLesson, read_vmoe_lesson, set_apart, some_of
from trainer.recipes.vmoe_loop import Stage, do_stage, newest_step
from trainer.recipes.vmoe_making import Plan, plan_of
from trainer.recipes.vmoe_routing import Routing
from trainer.recipes.vmoe_writing import writer_of
from trainer.vmoe_batches import num_steps_of
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import BEST_METRIC, Routes, confusion_of, measure_routes, routes_of

MAX_UNLABELLED = 1000
"""So many images without a label are looked at after epochs; the others in the end."""
MAX_WATCHED = 20_000
"""So many images are routed after epochs, whatever is labelled."""
MAX_MEASURED = 2000
"""So many held-out images are measured during a run; a comparison measures all."""
MAX_CONFUSED = 2000
"""So many images that were learnt from are asked what they are taken for, at most."""
LEARNT_WEIGHT = 0.25
"""What such an image counts where superclasses are found: little, but a class that few others show has no others."""


def vmoe(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: there is nothing to learn from, or nothing to tell apart.
        StorageFailed: too little space is left, or the disk refuses.
        UserError: the loss is no number again and again, or memory is too small.
    """
    training = context.config.vmoe or VmoeTraining()
    if training.is_dry_run:
        from trainer.recipes.vmoe_estimate import estimate_vmoe

        return estimate_vmoe(context)
    use_fast_products(context.device)
    with open_snapshot(context.folder.snapshot) as dataset:
        lesson = read_vmoe_lesson(dataset, training, context.reporter.note)
    return _Run(context, plan_of(context, training, lesson, context.reporter.note), lesson).run()


class Shape:
    """How long a run is, and what learns from what.

    Attributes:
        apart: Rows that the dense twin does not learn from, since they tell what it confuses.
        of_twin: Rows that it learns from.
        first: Steps of the twin.
        num_steps: Steps of the whole run.
        read: Rows that are made ready before anything is learnt: all that is labelled, and some that is not.
        watched: Those of them that are routed after epochs.
        measured: Held-out rows that are measured.
    """

    def __init__(self, plan: Plan, lesson: VmoeLesson) -> None:
        training = plan.training
        none = np.zeros(0, np.int64)
        self.apart: Ints = set_apart(lesson, lesson.learnt, training.confusion_share) if plan.has_twin else none
        self.of_twin: Ints = np.setdiff1d(lesson.learnt, self.apart) if plan.has_twin else none
        num_dense = training.num_dense_epochs if plan.has_twin else 0
        self.first = num_steps_of(len(self.of_twin), num_dense, training.batch_size)
        self.num_steps = self.first + num_steps_of(len(lesson.learnt), training.num_epochs, training.batch_size)
        others = np.setdiff1d(np.arange(len(lesson.images)), np.union1d(lesson.learnt, lesson.measured))
        some = some_of(lesson, others, MAX_UNLABELLED)
        self.read: Ints = np.sort(np.concatenate([lesson.learnt, lesson.measured, some]))
        self.watched: Ints = some_of(lesson, self.read, MAX_WATCHED)
        self.measured: Ints = some_of(lesson, lesson.measured, MAX_MEASURED)


class _Run:
    """One run, stage by stage."""

    def __init__(self, context: RunContext, plan: Plan, lesson: VmoeLesson) -> None:
        self._context = context
        self._plan = plan
        self._lesson = lesson
        self._shape = Shape(plan, lesson)
        self._dense_checkpoints = context.folder.checkpoints / "dense"
        stem = new_vmoe(plan.dense_config).to(context.device)
        self._inputs = VmoeInputs(stem, context.cache)
        newest = newest_step(context.folder.checkpoints) or newest_step(self._dense_checkpoints)
        self._newest = newest
        self._history = RunHistory(context.folder, newest)
        self._unreadable: Ints = np.zeros(0, np.int64)
        self._twin: MobileVmoe | None = None

    def run(self) -> bool:
        """All of it; True if it was stopped before its end."""
        self._begin()
        if not self._read(self._shape.read):
            return True
        if not len(self._readable(self._lesson.learnt)):
            raise BadInput("None of the images with a class can be read; nothing can be learnt.")
        if self._newest:
            self._history.happen(f"Resumed after step {self._newest}.")
        if self._plan.has_twin and self._learn_dense():
            return True
        groups = self._groups()
        if self._learn_experts(groups):
            return True
        return self._finish(groups)

    def _begin(self) -> None:
        """Say what the run will do, once there is room for it."""
        context, lesson = self._context, self._lesson
        write_document(held_out_file(context.folder), lesson.held_out)
        require_space(context.cache.parent, len(lesson.images) * self._inputs.bytes_of_image)
        context.reporter.started(
            device=describe_device(context.device),
            num_images=len(lesson.learnt),
            num_regions=lesson.num_positives,
            num_steps=self._shape.num_steps,
            first_step=self._newest,
            num_held_out=lesson.held_out.num_regions,
            steps_per_epoch=steps_in_epoch(len(lesson.learnt), self._plan.training.batch_size),
        )

    def _read(self, rows: Ints) -> bool:
        """Make ready what the model takes of these images; False if the run was stopped meanwhile."""
        context, unreadable = self._context, set(self._unreadable.tolist())
        place = {self._lesson.images[row].image.id: row for row in rows.tolist()}
        begun = said = time.monotonic()
        files = [self._lesson.images[row] for row in rows.tolist()]
        for num_read, (file, problem) in enumerate(self._inputs.read(files), start=1):
            if context.should_stop():
                return False
            if problem is not None:
                unreadable.add(place[file.image.id])
                context.reporter.note(problem.sentence)
            now = time.monotonic()
            if now - said > 1.0:
                said, rate = now, num_read / (now - begun)
                left = (len(files) - num_read) / rate
                step = max(self._newest, newest_step(context.folder.checkpoints))
                context.reporter.progress(step, self._shape.num_steps, images_per_second=rate, seconds_left=left)
        self._unreadable = np.array(sorted(unreadable), np.int64)
        return True

    def _readable(self, rows: Ints) -> Ints:
        return np.setdiff1d(rows, self._unreadable)

    def _learn_dense(self) -> bool:
        """The first stage; True if it was stopped.  Once there are experts it is over, whatever is left of it."""
        context, plan = self._context, self._plan
        if newest_step(context.folder.checkpoints):
            return False
        num_epochs = plan.training.num_dense_epochs
        if not newest_step(self._dense_checkpoints):
            epochs = "one epoch" if num_epochs == 1 else f"{num_epochs} epochs"
            context.reporter.note(f"The dense twin is trained first ({epochs}).")
        rows = self._readable(self._shape.of_twin)
        stage = Stage(
            context=context,
            training=plan.training,
            make=lambda: new_vmoe(plan.dense_config).to(context.device),
            lesson=self._lesson,
            rows=rows if len(rows) else self._readable(self._lesson.learnt),
            num_epochs=num_epochs,
            first=0,
            num_steps=self._shape.num_steps,
            inputs=self._inputs,
            history=self._history,
            evaluate=lambda model: {f"dense_{name}": value for name, value in self._measure(model, None).items()},
            checkpoints=self._dense_checkpoints,
            is_said=False,
            write_model=self._writer(rows),
        )
        self._twin, was_stopped = do_stage(stage)
        return was_stopped

    def _learn_experts(self, groups: Groups | None) -> bool:
        """The second stage; True if it was stopped."""
        context, plan = self._context, self._plan
        config = plan.with_groups(groups)
        rows = self._readable(self._lesson.learnt)
        twin = self._twin_of_run() if plan.has_twin and plan.training.is_upcycled else None
        stage = Stage(
            context=context,
            training=plan.training,
            make=lambda: new_vmoe(config, dense=twin, base=plan.base).to(context.device),
            lesson=self._lesson,
            rows=rows,
            num_epochs=plan.training.num_epochs,
            first=self._shape.first,
            num_steps=self._shape.num_steps,
            inputs=self._inputs,
            history=self._history,
            evaluate=lambda model: self._measure(model, groups),
            checkpoints=context.folder.checkpoints,
            is_said=True,
            measures_start=plan.base is not None,
            write_model=self._writer(rows),
            on_epoch=self._routing(groups).on_epoch,
        )
        return do_stage(stage)[1]

    def _finish(self, groups: Groups | None) -> bool:
        """Route the whole collection by the best checkpoint; True if the run was stopped meanwhile."""
        context = self._context
        best = read_best(context.folder)
        if best is None or not self._read(np.setdiff1d(np.arange(len(self._lesson.images)), self._shape.read)):
            return best is not None
        model = load_vmoe(context.folder.path / best.path, str(context.device))
        self._routing(groups).finish(model, self._readable(np.arange(len(self._lesson.images))), best.step)
        if has_confusion(context.folder.results):
            found = self._history.metrics_at(best.step)
            known = read_confusion(context.folder.results)
            header = replace(
                known.header, moe_top1=found.get(BEST_METRIC), router_accuracy=found.get("router_accuracy")
            )
            write_confusion(context.folder.results, Confusion(header, known.counts))
        return False

    def _writer(self, rows: Ints) -> Callable[[MobileVmoe, Path, int], str]:
        return writer_of(
            self._context,
            self._plan,
            self._lesson,
            rows,
            self._history,
            num_steps=self._shape.num_steps,
            num_measured=len(self._readable(self._shape.measured)),
        )

    def _routing(self, groups: Groups | None) -> Routing:
        return Routing(
            context=self._context,
            lesson=self._lesson,
            inputs=self._inputs,
            history=self._history,
            groups=groups,
            learnt=self._lesson.learnt,
            watched=self._readable(self._shape.watched),
            num_epochs=self._plan.training.num_epochs,
            first=self._shape.first,
            steps_per_epoch=steps_in_epoch(len(self._readable(self._lesson.learnt)), self._plan.training.batch_size),
        )

    def _measure(self, model: MobileVmoe, groups: Groups | None) -> dict[str, float]:
        """Metrics on what is held out."""
        rows = self._readable(self._shape.measured)
        routes = self._routes(model, rows, groups)
        group_L = groups.group_L if groups is not None else None
        return measure_routes(routes, self._lesson.target_NL[rows], group_L, names_experts=self._plan.is_taught)

    def _routes(self, model: MobileVmoe, rows: Ints, groups: Groups | None = None) -> Routes:
        return routes_of(
            model,
            self._inputs,
            [self._lesson.images[row] for row in rows.tolist()],
            superclass_N=None if groups is None else groups.group_L[self._lesson.truth_N[rows]],
            alive=self._context.reporter.alive,
        )

    def _twin_of_run(self) -> MobileVmoe | None:
        """The dense twin as its stage has left it; None where it is gone and experts have learnt since."""
        if self._twin is None:
            self._twin = self._twin_on_disk()
        return self._twin

    def _twin_on_disk(self) -> MobileVmoe | None:
        with torch.random.fork_rng(devices=[]):
            twin = new_vmoe(self._plan.dense_config).to(self._context.device)
            optimizer = make_optimizer(twin, learning_rate=1.0, weight_decay=0.0)
            for folder in step_folders(self._dense_checkpoints):
                try:
                    restore_step(folder, twin, optimizer)
                except LocStudioError as problem:
                    self._context.reporter.note(str(problem))
                else:
                    return twin
        return None

    def _groups(self) -> Groups | None:
        """The superclasses of the run: those it has written, else found now; None where there are none."""
        plan, names = self._plan, self._lesson.table.class_names
        if plan.config.routing == "dense":
            return None
        if (written := self._groups_on_disk()) is not None:
            return written
        model = self._twin_of_run() if plan.has_twin else plan.base
        if model is None and (plan.finds_groups or not plan.known.names):
            if plan.finds_groups:
                raise BadInput("The dense twin of this run is gone, and so are its superclasses; train again.")
            return None
        counts_LL, rows = self._confusion(model)
        groups = group_classes(
            counts_LL + LEARNT_WEIGHT * self._confusion_of_learnt(model, rows),
            names,
            plan.known,
            num_groups=plan.config.num_experts if plan.is_taught or not plan.known.names else len(plan.known.names),
            max_share=plan.training.max_group_share,
        )
        if model is not None:
            top1 = self._measure(model, None).get(BEST_METRIC) if plan.has_twin else None
            self._write_groups(groups, counts_LL, len(rows), top1)
        self._context.reporter.note(sentence_about(groups, plan.known, names))
        return groups

    def _groups_on_disk(self) -> Groups | None:
        results = self._context.folder.results
        if not has_confusion(results):
            return None
        try:
            header = read_confusion(results).header
        except BadInput as problem:
            self._context.reporter.note(f"{problem} It is measured anew.")
            return None
        if header.class_names != self._lesson.table.class_names or not header.group_of:
            return None
        return Groups(header.group_names, np.array(header.group_of, np.int64), header.origin)

    def _write_groups(
        self, groups: Groups, counts_LL: NDArray[np.float32], num_images: int, dense_top1: float | None
    ) -> None:
        table = self._lesson.table
        header = ConfusionHeader(
            run_id=self._context.folder.id,
            class_ids=table.class_ids,
            class_names=table.class_names,
            num_images=num_images,
            group_names=groups.names,
            group_of=tuple(groups.group_L.tolist()),
            origin=groups.origin,
            dense_top1=dense_top1,
        )
        write_confusion(self._context.folder.results, Confusion(header, counts_LL))

    def _confusion(self, model: MobileVmoe | None) -> tuple[NDArray[np.float32], Ints]:
        """What a model confuses, and on which rows: those set apart, and all of classes that have too few."""
        lesson = self._lesson
        rows = self._readable(self._shape.apart)
        is_few_L = lesson.num_learnt_L < MIN_OF_CLASS
        few = lesson.learnt[is_few_L[lesson.truth_N[lesson.learnt]]] if len(rows) else lesson.learnt
        rows = np.union1d(rows, self._readable(some_of(lesson, few, MAX_CONFUSED)))
        return self._confusion_on(model, rows), rows

    def _confusion_of_learnt(self, model: MobileVmoe | None, others: Ints) -> NDArray[np.float32]:
        """The same on some of the other rows to learn from, which the twin knows too well."""
        left = np.setdiff1d(self._readable(self._lesson.learnt), others)
        return self._confusion_on(model, some_of(self._lesson, left, MAX_CONFUSED))

    def _confusion_on(self, model: MobileVmoe | None, rows: Ints) -> NDArray[np.float32]:
        class_names = self._lesson.table.class_names
        scores_NL = np.zeros((len(rows), len(class_names)), np.float32)
        if model is not None:
            known = {name: place for place, name in enumerate(model.config.classes)}
            here = [place for place, name in enumerate(class_names) if name in known]
            found = self._routes(model, rows).scores_NL
            scores_NL[:, here] = found[:, [known[class_names[place]] for place in here]]
        return confusion_of(scores_NL, self._lesson.target_NL[rows])
