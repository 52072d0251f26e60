"""Parquet and WebDataset out: tables and shards with embeddings, compared before they have their name."""

import io
import json
import tarfile
from hashlib import sha256

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, LabelChange, add_regions
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.index.region_index import RegionIndex
from locstudio.interchange import parquet_writer, webdataset_writer
from locstudio.interchange.formats import FORMATS
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.services.promotion import active_id
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

DIM = 6


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpeg", "sub/a.png")):
        Image.new("RGB", (100, 80), (9 * number, 9, 9)).save(folder / name)
    return folder


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "project")


@pytest.fixture
def dataset(project, images):
    with Dataset.create(project) as opened:
        add_folder(opened, images)
        changes = [
            ClassChange(None, LabelClass(1, "dog *", "#112233")),
            ClassChange(None, LabelClass(2, "x", "#112233")),
        ]
        changes.append(CaptionChange(None, Caption(1, 1, " a red dog", source="coco:c.json")))
        labels = [
            ImageLabel(1, 1, score=0.25, origin=Origin.IMPORTED, source="labels-csv:a.csv"),
            ImageLabel(1, 2, Presence.NEGATIVE, Origin.MODEL),
            ImageLabel(3, 2, Presence.UNKNOWN),
        ]
        changes += [LabelChange(None, label) for label in labels]
        opened.apply(Edit("Fill", tuple(changes)))
        kinds = [(Origin.HUMAN, Review.ACCEPTED), (Origin.MODEL, Review.PENDING), (Origin.EDITED, Review.ACCEPTED)]
        regions = [
            Region(
                opened.next_region_id(),
                1 + number % 2,
                UnitBox(0.1, 0.25, 0.4 + 0.1 * number, 0.75),
                f"thing {number}",
                1 if number else None,
                review,
                origin,
                0.5 if number else None,
                "coco:a.json",
                caption_id=1 if number == 0 else None,
                caption_span=(3, 10) if number == 0 else None,
                mask="[[10,20,40,20,40,60]]" if number == 2 else None,
            )
            for number, (origin, review) in enumerate(kinds)
        ]
        opened.apply(add_regions(regions))
        yield opened


@pytest.fixture
def vectors(project, dataset):
    """The index has the first and the third region; of the second it has another box."""
    regions = dataset.region_page(0, 10)
    boxes = [region.box.as_tuple() for region in regions]
    boxes[1] = (0, 0, 0.5, 0.5)
    values = np.random.default_rng(0).normal(size=(3, DIM)).astype(np.float32)
    index = RegionIndex.create(project.index, active_id(dataset), DIM)
    index.put_regions([r.id for r in regions], [r.image_id for r in regions], boxes, values)
    index.close()
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def test_that_tables_hold_every_region_with_its_embedding_and_what_made_it(dataset, vectors, tmp_path):
    report = export_annotations(dataset, tmp_path / "out", format="parquet")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "DATA_CARD.md",
        "captions.parquet",
        "images.parquet",
        "labels.parquet",
        "regions.parquet",
    ]
    table = pq.read_table(tmp_path / "out" / "regions.parquet")
    first, third, second = table.to_pylist()  # by images
    assert table.schema.metadata[b"checkpoint_id"].decode() == active_id(dataset)
    assert (first["file_name"], first["phrase"], first["class"]) == ("a.png", "thing 0", None)
    assert (first["span_begin"], first["span_end"], first["caption_id"]) == (3, 10, 1)
    assert (second["review"], second["origin"], second["score"], second["class"]) == ("pending", "model", 0.5, "dog *")
    assert [first[name] for name in ("x0", "y0", "x1", "y1")] == [0.1, 0.25, 0.4, 0.75]
    assert [first[f"{name}_px"] for name in ("x0", "y0", "x1", "y1")] == pytest.approx([10, 20, 40, 60])
    assert (third["mask"], third["image_width"], third["source"]) == ("[[10,20,40,20,40,60]]", 100, "coco:a.json")
    assert np.abs(np.float32(first["embedding"]) - np.float32(vectors[0])).max() < 2e-3
    assert first["embedding"] is not None
    assert second["embedding"] is None  # its box has moved since it was embedded
    kind = table.schema.field("embedding").type
    assert (str(kind.value_type), kind.list_size) == ("halffloat", DIM)
    (caption,) = pq.read_table(tmp_path / "out" / "captions.parquet").to_pylist()
    assert (caption["caption"], caption["origin"], caption["source"]) == (" a red dog", "imported", "coco:c.json")
    assert len(pq.read_table(tmp_path / "out" / "images.parquet")) == 3
    labels = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    assert [(label["class"], label["presence"], label["origin"], label["score"]) for label in labels] == [
        ("dog *", "positive", "imported", 0.25),
        ("x", "negative", "model", None),
        ("x", "unknown", "human", None),
    ]
    assert (labels[0]["file_name"], labels[0]["source"]) == ("a.png", "labels-csv:a.csv")
    assert (report.num_images, report.num_regions, report.num_captions, report.num_labels) == (3, 3, 1, 3)


def test_that_the_card_counts_by_origin_and_review_and_shows_names_literally(dataset, vectors, tmp_path):
    export_annotations(dataset, tmp_path / "out", format="parquet", reviews=frozenset(Review))
    card = (tmp_path / "out" / "DATA_CARD.md").read_text()
    assert "3 images, 3 regions, 1 captions, 3 labels of images." in card
    assert "| model | 0 | 1 | 0 |" in card
    assert "| model: proposed by a model | 1 | 0 | 0 |" in card
    assert "| human: drawn by a person | 0 | 1 | 0 |" in card
    assert f"2 of 3 regions, {DIM} values of 16 bits each" in card
    assert "- 2 x dog \\*" in card


def test_that_tables_without_an_index_have_no_embeddings(dataset, tmp_path):
    export_annotations(dataset, tmp_path / "out", format="parquet")
    assert "embedding" not in pq.read_table(tmp_path / "out" / "regions.parquet").schema.names
    assert "None: the project has no search index" in (tmp_path / "out" / "DATA_CARD.md").read_text()


def test_that_many_rows_go_out_in_groups(dataset, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_writer, "_GROUP", 2)
    export_annotations(dataset, tmp_path / "out", format="parquet")
    assert pq.ParquetFile(tmp_path / "out" / "regions.parquet").num_row_groups == 2


def samples_of(folder):
    found = {}
    for shard in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            for info in tar:
                assert (info.mtime, info.uid, info.uname, info.type) == (0, 0, "", tarfile.REGTYPE)
                key, suffix = info.name.split(".")
                found.setdefault(key, {})[suffix] = tar.extractfile(info).read()
    return found


def test_that_a_sample_is_the_image_itself_with_its_regions_and_embeddings(dataset, images, vectors, tmp_path):
    export_annotations(dataset, tmp_path / "out", format="webdataset")
    samples = samples_of(tmp_path / "out")
    assert sorted(samples) == ["000000001", "000000002", "000000003"]
    first, second = samples["000000001"], samples["000000002"]
    assert list(first) == ["png", "npy", "json"]
    assert first["png"] == (images / "a.png").read_bytes()
    assert second["jpg"] == (images / "b.jpeg").read_bytes()
    about = json.loads(first["json"])
    assert about["sha256"] == sha256(first["png"]).hexdigest()
    assert (about["file_name"], about["width"], about["checkpoint_id"]) == ("a.png", 100, active_id(dataset))
    assert [region["phrase"] for region in about["regions"]] == ["thing 0", "thing 2"]
    assert [region["embedding"] for region in about["regions"]] == [0, 1]
    assert [(label["class"], label["presence"]) for label in about["labels"]] == [
        ("dog *", "positive"),
        ("x", "negative"),
    ]
    assert about["regions"][0]["box"] == [0.1, 0.25, 0.4, 0.75]
    stored = np.load(io.BytesIO(first["npy"]))
    assert stored.dtype == np.float16
    assert np.abs(stored.astype(np.float32) - vectors[[0, 2]].astype(np.float32)).max() < 2e-3
    assert "npy" not in second
    assert json.loads(second["json"])["regions"][0]["embedding"] is None


def test_that_shards_are_closed_by_size_and_the_same_dataset_gives_the_same_bytes(dataset, tmp_path, monkeypatch):
    write = FORMATS["webdataset"].writer
    monkeypatch.setattr(webdataset_writer.write_webdataset, "__defaults__", (1,))
    for name in ("one", "two"):
        export_annotations(dataset, tmp_path / name, format="webdataset")
    assert write is webdataset_writer.write_webdataset
    shards = sorted(path.name for path in (tmp_path / "one").glob("*.tar"))
    assert shards == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    for shard in shards:
        assert (tmp_path / "one" / shard).read_bytes() == (tmp_path / "two" / shard).read_bytes()


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_row_66_images_without_a_file_are_listed_and_their_regions_kept(dataset, images, tmp_path, format):
    (images / "a.png").unlink()
    report = export_annotations(dataset, tmp_path / "out", format=format)
    assert report.missing == ["a.png"]
    assert (report.num_images, report.num_regions) == (3, 3)
    if format == "webdataset":
        assert sorted(samples_of(tmp_path / "out")) == ["000000002", "000000003"]
        (line,) = (tmp_path / "out" / "missing.jsonl").read_text().splitlines()
        assert json.loads(line)["file_name"] == "a.png"


def test_that_an_image_without_a_file_promises_no_embeddings(dataset, images, vectors, tmp_path):
    (images / "a.png").unlink()
    export_annotations(dataset, tmp_path / "out", format="webdataset")
    missing = json.loads((tmp_path / "out" / "missing.jsonl").read_text())
    assert [region["embedding"] for region in missing["regions"]] == [None, None]
    assert "0 of 3 regions" in (tmp_path / "out" / "DATA_CARD.md").read_text()


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_row_65_what_reads_differently_is_not_kept(dataset, vectors, tmp_path, monkeypatch, format):
    def changed(vectors):
        return vectors * np.float16(2)

    if format == "parquet":
        column = parquet_writer._embedding_column
        twice = lambda values, kind: column([None if v is None else changed(v) for v in values], kind)  # noqa: E731
        monkeypatch.setattr(parquet_writer, "_embedding_column", twice)
    else:
        npy = webdataset_writer._npy
        monkeypatch.setattr(webdataset_writer, "_npy", lambda values: npy(changed(values)))
    with pytest.raises(StorageFailed, match=r"read again, it differs from the dataset \(the embeddings? of"):
        export_annotations(dataset, tmp_path / "out", format=format)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]


def test_row_65_a_picture_that_changes_while_it_is_written_is_not_kept(dataset, images, tmp_path, monkeypatch):
    write_card = webdataset_writer.DataCard.write

    def and_change(card, folder, layout):
        (images / "a.png").write_bytes(b"other")
        write_card(card, folder, layout)

    monkeypatch.setattr(webdataset_writer.DataCard, "write", and_change)
    with pytest.raises(StorageFailed, match="the picture of image 1, which has changed meanwhile"):
        export_annotations(dataset, tmp_path / "out", format="webdataset")


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_that_what_only_goes_out_is_not_imported(dataset, images, tmp_path, format):
    export_annotations(dataset, tmp_path / "out", format=format)
    with pytest.raises(BadInput, match="written here and not imported"):
        import_annotations(dataset, tmp_path / "out", images, format=format)
