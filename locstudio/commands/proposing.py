"""Commands of pseudo-labels: propose regions, and the captions that they come from."""

import argparse
from collections.abc import Sequence

from locstudio.commands.opening import checkpoint_folder, image_of, opened
from locstudio.commands.output import ProgressLine, print_json, say
from locstudio.commands.waiting import tell, wait_for
from locstudio.domain.edits import RegionChange
from locstudio.domain.errors import DatasetInUse, UserError
from locstudio.domain.regions import Image, Review
from locstudio.domain.text import shown
from locstudio.jobs.configs import CaptionerName, DetectorName, Vesl
from locstudio.jobs.raw_proposals import read_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.services import runs as service
from locstudio.services.captioning import SOURCES, take_captions_in
from locstudio.services.proposing import proposals_counted, resumable_vesl, start_vesl
from locstudio.services.run_events import ingest
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.project import Project

INTERRUPTED = 130
_DETECTORS: dict[str, DetectorName] = {
    "own": "own",
    "closer": "closer",
    "owlv2": "owlv2",
    "grounding-dino": "grounding_dino",
}
_CAPTIONERS: dict[str, CaptionerName] = {
    "own": "own",
    "classes": "classes",
    "coca": "coca",
    "blip": "blip",
    "florence-2": "florence2",
}
_PAGE = 1000


def propose(options: argparse.Namespace) -> int:
    """Propose regions: captions to phrases, phrases to boxes; kept raw, and taken in as pending if so asked."""
    with opened(options.project) as (project, dataset):
        folder = (
            resumable_vesl(service.find_run(project, options.resume))
            if options.resume
            else _new_run(project, dataset, options)
        )
    tell(f"The run is {folder.id}.")
    # The run has a snapshot of its own: until it is over, a window may have the project.
    is_whole = wait_for(folder, "Proposing")
    document: dict[str, object] = {"run": folder.id, "is_whole": is_whole, **proposals_counted(folder)}
    if not is_whole:
        tell(f"Stopped; go on with: locstudio propose {options.project} --resume {folder.id}")
    try:
        with opened(options.project) as (project, dataset):
            ingest(project, dataset, folder)
            if options.take_in:
                document["num_taken_in"] = _taken_in(project, dataset, folder, options)
    except DatasetInUse:  # who has the project will hear of the run, too
        if options.take_in:
            tell("The run is over and its proposals are kept, but none was taken in; the window can do that.")
            raise
    if options.json:
        print_json(document)
    else:
        for name, value in document.items():
            say(f"{name:14} {value}")
    return 0 if is_whole else INTERRUPTED


def captions(options: argparse.Namespace) -> int:
    """List the captions of the project, or take in those beside and inside its images."""
    if options.source:
        with opened(options.project) as (_, dataset):
            sources = SOURCES if options.source == "all" else (options.source,)
            image_ids = [image_of(dataset, options.image).id] if options.image else None
            report = take_captions_in(dataset, sources, image_ids=image_ids, progress=ProgressLine("Reading"))
        if options.json:
            print_json(report.to_json())
        else:
            say(report.to_text())
        return 0
    with opened(options.project, read_only=True) as (_, dataset):
        images = [image_of(dataset, options.image)] if options.image else _all_images(dataset)
        rows = [
            {
                "id": caption.id,
                "image": shown(image.path, 4096),
                "text": caption.text,
                "origin": str(caption.origin),
                "source": caption.source,
            }
            for image in images
            for caption in dataset.captions_of(image.id)
        ]
    if options.json:
        print_json({"captions": rows})
        return 0
    for row in rows:
        say(f"{row['image']}  {shown(str(row['text']), 400)}  ({row['source'] or row['origin']})")
    if not rows:
        say(f"No captions yet; `locstudio captions {options.project} --from all` takes in those that the images have.")
    return 0


def _new_run(project: Project, dataset: Dataset, options: argparse.Namespace) -> RunFolder:
    given = {"num_boxes": options.boxes} if options.boxes else {}
    vesl = Vesl(
        image_ids=tuple(image_of(dataset, name).id for name in options.images or ()),
        captioner=_CAPTIONERS[options.captioner],
        captioner_model=options.captioner_model,
        detector=_DETECTORS[options.detector],
        detector_model=options.detector_model,
        phrases=tuple(filter(None, (phrase.strip() for phrase in options.phrases.split(",")))),
        has_class_names=options.class_names,
        **given,
    )
    checkpoint = checkpoint_folder(project, dataset, options.checkpoint)
    return start_vesl(project, dataset, checkpoint, vesl=vesl, device=options.device, title=options.title)


def _taken_in(project: Project, dataset: Dataset, folder: RunFolder, options: argparse.Namespace) -> int:
    """Make pending regions of what the run is sure enough of, in one undo step; how many they are."""
    from locstudio.services.curation.deciding import take_in
    from locstudio.services.curation.pool import read_pool
    from locstudio.services.curation.view import Order, Wish, rows_of

    found = read_raw_proposals(folder.results)
    if found is None:
        raise UserError(f"The run {folder.id} has proposed nothing that could be taken in.")
    wish = Wish(
        min_score=found.manifest.default_score if options.min_score is None else options.min_score,
        max_overlap=found.manifest.default_overlap if options.overlap is None else options.overlap,
        reviews=frozenset({Review.PENDING}),
        runs=frozenset({folder.id}),
        order=Order.IMAGE,
    )
    pool = read_pool(project, dataset)
    edit = take_in(dataset, pool, rows_of(pool, wish))
    if edit.changes:
        dataset.apply(edit)
    return sum(isinstance(change, RegionChange) for change in edit.changes)


def _all_images(dataset: Dataset) -> Sequence[Image]:
    images: list[Image] = []
    wanted = ImageFilter(order="id")
    while page := dataset.image_page(wanted, after_id=images[-1].id if images else 0, limit=_PAGE):
        images += page
    return images
