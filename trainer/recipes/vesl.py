"""Propose regions: captions to phrases, phrases to boxes, everything kept raw.  What one image goes through is in
``trainer.vesl.pipeline``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Caption, Image, Review
from locstudio.domain.text import counted
from locstudio.jobs.configs import Vesl
from locstudio.jobs.raw_proposals import Manifest, RawProposals
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.context import RunContext
from trainer.data import images_with_regions, names_in_use
from trainer.device import describe_device
from trainer.encoding import Encoded, TokenSource
from trainer.hooks import ReportProgress
from trainer.images import Unreadable, batched
from trainer.loop import StepMetrics, run_loop
from trainer.recipes.evaluate import token_source
from trainer.vesl.captions import Captioner, captioner_of
from trainer.vesl.detector import Detector
from trainer.vesl.detectors import detector_of
from trainer.vesl.pipeline import Proposing, fallback_phrases
from trainer.vesl.proposals import ProposalFilling
from trainer.vesl.scene import Scene
from trainer.vesl.texts import TextMemory

MAX_FALLBACK_PHRASES = 200
DEFAULT_SCORE, DEFAULT_SCORE_OF_OTHERS = 0.2, 0.1
DEFAULT_OVERLAP = 0.6
_PAGE = 200


@dataclass(frozen=True, slots=True)
class ImageCaptions:
    """An image, where its file is, and its captions."""

    image: Image
    path: Path
    captions: tuple[Caption, ...]


def vesl(context: RunContext) -> bool:
    """The recipe: fill ``results/proposals``; True if it was stopped before the end.

    A run that is stopped writes what it has as a result, too.

    Raises:
        BadInput: the weights of its captioner or detector are not there, or it has no image.
    """
    wanted = context.config.vesl or Vesl()
    model = load_checkpoint(Path(context.config.checkpoint), device=str(context.device))
    detector = detector_of(wanted, model, TextMemory(model))
    with open_snapshot(context.folder.snapshot) as dataset:
        order = images_by_need(dataset, wanted.image_ids)
        if not order:
            raise BadInput("There is no image to propose regions in.")
        names = list(dict.fromkeys(name for name in names_in_use(dataset).values() if name.strip()))
        captioner = captioner_of(wanted, detector, names, context.device)
        known = [phrase for phrase, _ in dataset.phrases(MAX_FALLBACK_PHRASES)]
        fallback, on_fallback = fallback_phrases(names, known)
        filling = ProposalFilling(context.folder.results, model.dim)
        context.reporter.started(
            device=describe_device(context.device),
            num_images=len(order),
            num_regions=dataset.count_regions(),
            num_steps=len(order),
            first_step=sum(map(filling.is_done, order)),
        )
        proposing = Proposing(
            wanted,
            model,
            detector,
            captioner,
            fallback=fallback,
            class_names=names,
            run_id=context.folder.id,
        )
        work = _works(dataset, order, filling)
        was_stopped = _look_through(
            context, proposing, filling, token_source(context, model, len(order)), work, len(order)
        )
    if proposing.num_undescribed:
        number = counted(proposing.num_undescribed, "image")
        context.reporter.note(f"{number} gave no phrases by a caption; {on_fallback}.")
    proposals = filling.write(_manifest(wanted, model, detector, captioner))
    context.reporter.evaluated(len(proposals.seen_image_ids), counts_of(proposals))
    if not was_stopped:
        filling.clear()
    return was_stopped


def images_by_need(dataset: Dataset, image_ids: Sequence[int] = ()) -> list[int]:
    """Identities of all images, or of these: first those where nobody has reviewed a region, then by few regions."""
    wanted = frozenset(image_ids)
    needs = [
        (any(region.review is not Review.PENDING for region in work.regions), len(work.regions), work.image.id)
        for work in images_with_regions(dataset)
        if not wanted or work.image.id in wanted
    ]
    return [image_id for _, _, image_id in sorted(needs)]


def counts_of(proposals: RawProposals) -> dict[str, float]:
    """How much there is: images, captions read, phrases looked for that were found, proposals."""
    return {
        "n_images": len(proposals.seen_image_ids),
        "n_captions": len(proposals.captions),
        "n_phrases": len(proposals.phrases),
        "n_proposals": len(proposals),
    }


def _works(dataset: Dataset, order: Sequence[int], filling: ProposalFilling) -> Iterator[ImageCaptions]:
    """What is left to do, read in pages."""
    left = [image_id for image_id in order if not filling.is_done(image_id)]
    for page in batched(left, _PAGE):
        for image in dataset.images(page):
            yield ImageCaptions(image, dataset.image_file(image), tuple(dataset.captions_of(image.id)))


def _look_through(
    context: RunContext,
    proposing: Proposing,
    filling: ProposalFilling,
    source: TokenSource,
    works: Iterator[ImageCaptions],
    num_images: int,
) -> bool:
    report = ReportProgress(context.reporter, num_images)
    num_unreadable = 0

    def step(batch: list[tuple[ImageCaptions, Encoded | Unreadable]]) -> StepMetrics:
        nonlocal num_unreadable
        for work, encoded in batch:
            try:
                if isinstance(encoded, Unreadable):
                    raise BadInput(encoded.sentence)
                filling.put(proposing.propose(_scene(work, encoded, proposing.model), work.captions))
            except BadInput as problem:
                num_unreadable += 1
                context.reporter.note(str(problem))
        return StepMetrics(len(batch))

    end = run_loop(
        source.stream(works),
        step,
        [lambda _, metrics: report(filling.num_seen + num_unreadable, metrics)],
        should_stop=context.should_stop,
    )
    return end.was_stopped


def _scene(work: ImageCaptions, encoded: Encoded, model: Cloc) -> Scene:
    if not (work.image.width and work.image.height):
        raise BadInput(f"{work.image.name} could not be read when it came into the project; look for changes first.")
    return Scene(work.image, work.path, model.prepare(encoded.tokens, encoded.pixels))


def _manifest(wanted: Vesl, model: Cloc, detector: Detector, captioner: Captioner | None) -> Manifest:
    return Manifest(
        checkpoint_id=model.id,
        detector=detector.words,
        captioner=captioner.words if captioner else "",
        dim=model.dim,
        num_rows=0,
        num_images=0,
        default_score=DEFAULT_SCORE if wanted.detector in ("own", "closer") else DEFAULT_SCORE_OF_OTHERS,
        default_overlap=DEFAULT_OVERLAP,
    )
