"""What a run is asked to do.  One frozen struct per kind of run; the trainer's recipe of the same kind reads it."""

from typing import Literal

import msgspec

from locstudio.jobs.vmoe_config import RoutingMode, Stem

Preset = Literal["quick", "standard"]
Task = Literal["regions", "retrieval", "grounding", "images", "proposals", "multilabel", "classes", "all"]
Kind = Literal["cloc", "embed", "evaluate", "compare", "vesl", "consistency", "vmoe", "route"]
CaptionerName = Literal["own", "classes", "coca", "blip", "florence2"]
DetectorName = Literal["own", "closer", "owlv2", "grounding_dino"]


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run's configuration.

    ``checkpoint`` is the folder of the checkpoint that the run starts from or evaluates.  ``image_roots`` maps the
    snapshot's root ids to folders of this machine, as they were when the run was made.  ``snapshot_sha256``,
    ``snapshot_revision`` and ``code_version`` say what exactly the run has worked on, and with.
    """

    kind: Kind
    checkpoint: str
    seed: int = 0
    device: str = "auto"
    num_threads: int = 0
    num_processes: int = 1
    parent_run: str = ""
    title: str = ""
    snapshot_sha256: str = ""
    snapshot_revision: int = 0
    code_version: str = ""
    cloc: "ClocTraining | None" = None
    embed: "Embedding | None" = None
    evaluate: "Evaluation | None" = None
    compare: "Comparison | None" = None
    vesl: "Vesl | None" = None
    consistency: "ConsistencyTraining | None" = None
    vmoe: "VmoeTraining | None" = None
    route: "Route | None" = None


class ClocTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How CLOC is trained (arXiv:2410.02746, section 4.1 and Table A; what differs says so where it is used).

    Attributes:
        micro_batch: Images that go through the model at once; 0 for the whole batch.  Less memory, the same gradient.
        ema: Decay of the running mean of the weights that is evaluated and saved; 0 for none.
        has_compile: Let torch compile the model where it can.
        has_tensorboard: Also write curves for TensorBoard.
        hold_out: Share of images that are measured and not learnt from, where the project names no held-out split.
        is_dry_run: Time a few steps, say ``Estimated``, save nothing.
        contrast: ``sigmoid`` judges each pair of region and phrase alone, ``softmax`` is the paper's.
        grounding: ``overlap`` learns boxes by L1 and generalised IoU, ``squared`` is the paper's.
        has_unique_keys: A phrase of several regions is one rival for the others, not several.
        has_nearest_box: A phrase with several boxes in an image shall find the nearest of them, not their mean.
        text_contrast_weight: Push phrases from those most like them; 0 for not at all.
        keep_weight: Hold the model to what its parent says of other boxes and words; 0 for not at all.
        altered_weight: Rivals that differ from a phrase in one attribute ("a blue car"); 0 for none.
        machine_weight: How much a region counts that a model proposed and no person changed, be it accepted, against
            one that a person drew, corrected or brought along.
    """

    preset: Preset = "quick"
    num_steps: int = 600
    batch_size: int = 32
    regions_per_image: int = 4
    learning_rate: float = 5e-4
    weight_decay: float = 0.2
    num_warmup_steps: int = 50
    text_filter: float | None = 0.9
    has_grounding: bool = True
    is_tower_frozen: bool = True
    extractor: Literal["prompter", "roi_align", "crop"] = "prompter"
    include_pending: bool = False
    evaluate_every: int = 200
    micro_batch: int = 0
    ema: float = 0.0
    has_compile: bool = False
    has_tensorboard: bool = False
    hold_out: float = 0.2
    is_dry_run: bool = False
    contrast: Literal["softmax", "sigmoid"] = "softmax"
    grounding: Literal["squared", "overlap"] = "squared"
    has_unique_keys: bool = False
    has_nearest_box: bool = False
    text_contrast_weight: float = 0.0
    altered_weight: float = 0.0
    keep_weight: float = 0.0
    machine_weight: float = 0.5


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fill an index: every region, and ``num_proposals`` class-agnostic proposals an image.

    ``known`` is the folder of an index of the same checkpoint, whose rows of unchanged images are taken over.
    """

    num_proposals: int = 24
    known: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is evaluated: ``split`` empty means every image with ground truth.

    ``held_out`` names a run; then only what that run has held out is measured.
    """

    task: Task
    split: str = ""
    held_out: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new checkpoint does better and worse than ``RunConfig.checkpoint``, and whether it may take its place.

    ``held_out`` names the run whose held-out images decide the gate (empty: a named split, or what ``hold_out`` of a
    ``ClocTraining`` would hold out).  ``margin`` is how much worse, as a share, the gate's metric may be.
    """

    new: str
    held_out: str = ""
    margin: float = 0.01


class Vesl(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Captions become phrases, phrases become boxes (arXiv:2410.02746, section 3; PAPERS of the recipe).

    Attributes:
        image_ids: Only these images; empty for all.
        captioner: Who describes an image that has no caption: ``own`` is nobody (such an image gets the class names as
            phrases), ``classes`` the plain captioner, the others open_clip's CoCa and transformers' models.
        captioner_model: Folder or hub tag of the captioner's weights.
        detector: ``own`` is the checkpoint's proposals against phrase embeddings; ``closer`` looks at four enlarged
            parts of each image too.
        detector_model: Folder or hub tag of the detector's weights.
        phrases: Look for these instead of the captions' phrases.
        has_class_names: Look for the names of the project's classes too.
        max_phrases: Phrases a caption, as in the paper.
        min_score: What is not even kept raw.
        num_boxes: Raw proposals an image, at most.
    """

    image_ids: tuple[int, ...] = ()
    captioner: CaptionerName = "own"
    captioner_model: str = ""
    detector: DetectorName = "own"
    detector_model: str = ""
    phrases: tuple[str, ...] = ()
    has_class_names: bool = False
    max_phrases: int = 20
    min_score: float = 0.02
    num_boxes: int = 100


Loss = Literal["an", "ls", "en", "em", "ll_r"]
Memory = Literal["none", "scores", "maps"]


class ConsistencyTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the multi-label classifier is trained (arXiv:2203.06127).

    The paper's text gives the losses in words and no constant; the numbers here are ours, but ``momentum``, ``beta``
    and the zeros and ones that the memory starts with, which a public re-implementation has.

    Attributes:
        trains: ``head`` keeps the backbone as it is, computes its cells once an image, and cuts views out of the cells;
            ``all`` cuts views out of the pixels and trains the backbone too (for a GPU).
        loss: Of the classification: assume negative, label smoothing, expected negative, entropy maximisation on the
            unknown, large-loss rejection.
        memory: What consistency is asked with: nothing, running-average scores (CL), running-average heatmaps (SCL).
        momentum: Of the running averages, once an epoch and image.
        beta: Weight of the consistency term; 0 for what the labels ask for: 3 where an image has one, else 1.
        num_expected: Classes an image is expected to show (K of EN); 0 for as many as the labels have on average,
            rounded up, and one more where each image has a single one.
        num_warmup_epochs: Epochs of AN before EN, and without the consistency term.
        num_ramp_epochs: Epochs in which the consistency term grows to its weight after that.
        min_scale: Smallest share of the image's area that a view shows; 1 for no crop.
        flips: Mirror half of the views.
        starts_with_label: The remembered score of a class that is known to be there starts with one, else with zero.
            Heatmaps start with zeros in any case, or cells that few crops show would stay hot.
        dropout: Share of the channels behind a cell that is left out while training.
        boost: Positive values of a class map are multiplied by this before pooling (BoostLU); 1 for not at all.
        pools: What is averaged over a class map to a score: its logits, or its probabilities.
        keeps_one: Learn from one known class an image, drawn once by the seed, as the protocol of single positives has
            it; else from all that is known.
        boxes: How far, from 0 to 1, the boxes of a class say where it is in an image and where not, as paint does; what
            was painted with a brush goes before them.
        correction_weight: How much a painted cell counts against one that was not touched.
        machine_weight: How much a class counts that only a model has said.
        grid: Side of the heatmaps that are kept.
        view_grid: Side of the class maps of a view; 0 for what the backbone gives (``trains="all"``), else ``grid``.
        max_dense_classes: Above so many classes only ``num_slots`` heatmaps an image are kept.
        num_key_frames: Epochs of which heatmaps are kept for looking back.
        num_key_slots: Heatmaps an image and key frame.
        backbone: Of a new model: ``locstudio-lite``, or a name of timm.
        backbone_file: Its weights, where they are not in a package.
        known: Folder of heatmaps that are remembered from an earlier run; empty to begin anew.
    """

    preset: Preset = "quick"
    num_epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    trains: Literal["head", "all"] = "head"
    loss: Loss = "en"
    memory: Memory = "maps"
    momentum: float = 0.8
    beta: float = 0.0
    num_expected: int = 0
    num_warmup_epochs: int = 3
    num_ramp_epochs: int = 3
    min_scale: float = 0.25
    flips: bool = True
    starts_with_label: bool = True
    dropout: float = 0.3
    boost: float = 1.0
    pools: Literal["logits", "probabilities"] = "logits"
    keeps_one: bool = False
    boxes: float = 1.0
    correction_weight: float = 5.0
    machine_weight: float = 0.5
    grid: int = 14
    view_grid: int = 0
    max_dense_classes: int = 128
    num_slots: int = 24
    num_key_frames: int = 12
    num_key_slots: int = 12
    hold_out: float = 0.2
    evaluate_every: int = 1
    backbone: str = "locstudio-lite"
    backbone_file: str = ""
    known: str = ""
    is_dry_run: bool = False
    has_tensorboard: bool = False


class VmoeTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Mobile V-MoE is trained (arXiv:2309.04354): a dense twin, its confusion, superclasses, then experts.

    An image's target is shared by the classes that it shows, by the area of their boxes where it has boxes of all of
    them, else in equal parts.  Superclasses of the project are used as they are, one expert each; only classes without
    one are put to those they are confused with.

    Attributes:
        num_epochs: Of the model with experts.
        num_dense_epochs: Of the dense twin; 0 for none, where superclasses or experts need none.
        routing: Who chooses the expert; see ``VmoeConfig``.
        num_experts: E; 0 for as many as the project has superclasses, else about the root of the number of classes,
            at most 10.
        num_moe_layers: L.
        num_active: k.
        router_weight: Weight of the router's cross-entropy with the superclass (lambda).
        balance_weight: Weight of the losses of importance and load, each, where a router is not taught superclasses.
        is_upcycled: Begin with the dense twin's weights, every expert a copy of its MLP (not in the paper).
        has_shared_expert: One more expert that always computes (not in the paper).
        max_group_share: No cluster has more classes than this share of them (at least two).
        trains: ``head`` keeps the backbone as it is and computes its cells once an image; ``all`` trains a transformer
            on the pixels from scratch (for a GPU).
        stem: Of ``all``: linear patches as in the paper, or convolutions.
        patch: Side of a patch of ``all`` in pixels.
        input_px: Side of the picture; 0 for 224 with a backbone, 64 from scratch.
        mixup: Of the distribution of mixed pairs (Beta(mixup, mixup)); 0 for none.  Targets of superclasses are mixed
            alike.
        confusion_share: Of the images to learn from, the share that the dense twin does not learn from and whose
            confusion is measured; the model with experts learns from them.
        min_images: A class that fewer images show is learnt all the same, but the person is told.
        machine_weight: How much an image counts whose classes only a model has said.
    """

    preset: Preset = "quick"
    num_epochs: int = 30
    num_dense_epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    num_warmup_epochs: int = 2
    routing: RoutingMode = "superclass"
    num_experts: int = 0
    num_moe_layers: int = 2
    num_active: int = 1
    router_weight: float = 0.3
    balance_weight: float = 0.005
    is_upcycled: bool = True
    has_shared_expert: bool = False
    max_group_share: float = 0.25
    width: int = 128
    depth: int = 4
    heads: int = 4
    trains: Literal["head", "all"] = "head"
    stem: Stem = "conv"
    patch: int = 8
    input_px: int = 0
    backbone: str = "locstudio-lite"
    mixup: float = 0.2
    label_smoothing: float = 0.1
    dropout: float = 0.1
    drop_path: float = 0.0
    hold_out: float = 0.2
    confusion_share: float = 0.2
    evaluate_every: int = 1
    min_images: int = 2
    machine_weight: float = 0.5
    is_dry_run: bool = False
    has_tensorboard: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask a model with experts about every image of the collection, or only about ``image_ids``."""

    image_ids: tuple[int, ...] = ()
