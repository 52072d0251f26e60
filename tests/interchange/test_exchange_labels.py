"""Labels of whole images: out of a dataset and into another one, and what comes back."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import ClassChange, Edit, ImageChange, LabelChange, add_regions
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin, Region
from locstudio.interchange import labels_csv
from locstudio.interchange.formats import FORMATS, guess_format
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

SUFFIXES = {"labels-csv": "csv", "coco": "json"}
FILES = ("a.png", "b c&',;.png", "=sum(a).png")
CLASSES = ("dog", 'a\nb\rc\n <b> "cat", & co', "=HYPERLINK(1)")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate(FILES):
        Image.new("RGB", (20, 10), (number, 9, 9)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, images):
    with Dataset.create(create_project(tmp_path_factory.mktemp("project") / "p")) as opened:
        add_folder(opened, images)
        labels = [LabelClass(number, name, "#112233") for number, name in enumerate(CLASSES, 1)]
        opened.apply(Edit("Fill", tuple(ClassChange(None, label) for label in labels)))
        yield opened


def said(dataset):
    """What is said of the images, in words: file, class, presence, origin and score."""
    names = {label.id: label.name for label in dataset.classes()}
    images = {image.id: image.name for image in dataset.image_page()}
    return sorted(
        (images[label.image_id], names[label.class_id], str(label.presence), str(label.origin), label.score or -1)
        for labels in dataset.labels_of_images(list(images)).values()
        for label in labels
    )


LABELS = st.builds(
    ImageLabel,
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(Presence),
    st.sampled_from(Origin),
    st.none() | st.floats(0, 1, exclude_min=True),
    st.just("somebody"),
)


@pytest.mark.parametrize("format", SUFFIXES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(labels=st.lists(LABELS, min_size=1, max_size=9, unique_by=lambda label: (label.image_id, label.class_id)))
def test_that_what_goes_out_comes_in_as_it_was(dataset, images, tmp_path_factory, format, labels):
    folder = tmp_path_factory.mktemp("round")
    path = folder / f"out.{SUFFIXES[format]}"
    dataset.go_to(1)
    dataset.apply(Edit("Say", tuple(LabelChange(None, label) for label in labels)))
    report = export_annotations(dataset, path, format=format)
    assert report.num_labels == len(labels)
    with Dataset.create(create_project(folder / "p")) as other:
        first = import_annotations(other, path, images, format=format)
        assert (first.num_labels_added, first.num_rejected) == (len(labels), 0)
        assert said(other) == said(dataset)
        second = import_annotations(other, path, images, format=format)
        assert (second.num_new, second.num_labels_known, second.num_conflicts) == (0, len(labels), 0)
        other.undo()
        assert said(other) == []


def test_that_images_without_a_label_are_left_out_of_a_table_and_regions_are_counted(dataset, tmp_path):
    dataset.go_to(1)
    region = Region(dataset.next_region_id(), 3, UnitBox(0.1, 0.1, 0.5, 0.5), class_id=1)
    image = dataset.image(1)
    dataset.apply(Edit("Say", (LabelChange(None, ImageLabel(2, 1)), *add_regions([region]).changes)))
    dataset.apply(Edit("Verify", (ImageChange(image, replace(image, is_verified=True)),)))
    report = export_annotations(dataset, tmp_path / "labels.csv", format="labels-csv")
    assert (report.num_images, report.num_labels, report.num_regions) == (1, 1, 0)
    assert report.left_out == {"regions: Labels CSV does not hold them": 1, "images without a label": 2}
    assert (tmp_path / "labels.csv").read_text() == "file_name,class,presence,origin,score\na.png,dog,positive,human,\n"
    dataset.go_to(1)
    with pytest.raises(BadInput, match="nothing here that a Labels CSV export could hold"):
        export_annotations(dataset, tmp_path / "none.csv", format="labels-csv")


def test_that_a_cell_that_a_spreadsheet_would_run_is_text_there(dataset, tmp_path):
    dataset.go_to(1)
    dataset.apply(Edit("Say", (LabelChange(None, ImageLabel(1, 3)),)))
    export_annotations(dataset, tmp_path / "labels.csv", format="labels-csv")
    assert "'=sum(a).png,'=HYPERLINK(1),positive" in (tmp_path / "labels.csv").read_text()


def test_row_65_a_table_that_reads_differently_is_not_kept(dataset, tmp_path, monkeypatch):
    dataset.go_to(1)
    dataset.apply(Edit("Say", (LabelChange(None, ImageLabel(1, 1, Presence.NEGATIVE)),)))
    monkeypatch.setitem(labels_csv._PRESENCE_OF, "negative", Presence.POSITIVE)
    with pytest.raises(StorageFailed, match="differs from the dataset"):
        export_annotations(dataset, tmp_path / "labels.csv", format="labels-csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "is_guessed"),
    [
        ("image,class\na.png,dog\n", True),
        ("\ufeffImage;Label;Presence\na.png;dog;1\n", True),
        ("ImageID\tClass Name\na.png\tdog\n", True),
        ("a.png,dog\n", False),
        ("'file_name',nothing\n", False),
        ("file_name,x0_px,y0_px,class\na.png,1,2,dog\n", False),
    ],
)
def test_that_a_table_of_labels_is_known_by_its_row_of_names(tmp_path, text, is_guessed):
    (tmp_path / "table.csv").write_text(text)
    assert guess_format(tmp_path / "table.csv") is (FORMATS["labels-csv"] if is_guessed else None)


def test_that_folders_of_classes_are_taken_for_such_only_when_a_person_has_named_them(tmp_path):
    (tmp_path / "photos/dog").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "photos/dog/a.png")
    assert guess_format(tmp_path / "photos") is None
    assert guess_format(tmp_path / "photos", is_named=True) is FORMATS["folders"]
    assert guess_format(tmp_path, is_named=True) is FORMATS["folders"]  # one level deeper, as below splits
    (tmp_path / "empty").mkdir()
    assert guess_format(tmp_path / "empty", is_named=True) is None


def test_that_folders_come_in_and_do_not_go_out(dataset, tmp_path):
    with pytest.raises(BadInput, match="read here and not written"):
        export_annotations(dataset, tmp_path / "out", format="folders")
