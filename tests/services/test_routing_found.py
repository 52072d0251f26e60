"""One image's routing: from a run's table, and as a model says it just now."""

import numpy as np
import pytest

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.found import (
    FoundRouting,
    classes_known_in,
    folder_of_checkpoint,
    found_by_engine,
    found_in_table,
    is_stale,
)
from locstudio.store.dataset import Dataset


def found(shares=(0.2, 0.7, 0.1), experts=((1,),), **others) -> FoundRouting:
    names = ("1 · animals", "2 · vehicles", "3 · food")
    return FoundRouting("vmoe-1", "m", "superclass", (5, 6), names, (shares,), experts, (("bus", 0.6),), **others)


@pytest.fixture(scope="module")
def project(routing, tmp_path_factory):
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"), num_images=8, has_second=False)


def test_that_the_margin_is_between_the_two_likeliest_experts():
    assert found().margin == pytest.approx(0.5)
    assert (found().expert, found().second) == (1, 0)
    # An expert that chance has chosen is not the likeliest; its router's margin stays what it is.
    by_chance = found(experts=((2,),))
    assert (by_chance.expert, by_chance.second, by_chance.margin) == (2, 1, pytest.approx(0.5))


def test_that_only_an_expert_of_none_of_the_classes_is_a_mismatch():
    routed = found(homes={"bus": 1, "tabby cat": 0})
    assert not routed.is_mismatched(["The Bus", "tabby cat"])
    assert routed.is_mismatched(["tabby cat"])
    assert not routed.is_mismatched(["a class that it does not know"])
    assert routed.homes_of(["bus", "tabby cat", "tabby cat"]) == (1, 0)


def test_that_a_row_of_a_table_says_who_took_the_image_and_what_it_is(project):
    with Dataset.open(project) as dataset:
        book = RoutingBook.open(project, dataset)
        (image,) = dataset.images([int(book.table.image_ids[3])])
        row = book.row_of(image.id)
        routed = found_in_table(book.table, row, book.expert_names, book.class_homes.tolist())
        assert routed.expert == book.experts_N[row]
        assert routed.margin == pytest.approx(float(book.margins_N[row]), abs=1e-3)
        assert routed.is_mismatched(classes_known_in(dataset, image)) == bool(book.mismatch_N[row])
        assert not is_stale(book.table, row, image)
        run = RunFolder(project.runs / book.run.id)
        assert folder_of_checkpoint(project, dataset, run, book.run.checkpoint_id) == run.checkpoints / "best"
        assert folder_of_checkpoint(project, dataset, run, "vmoe-of-nobody") is None


def test_that_a_class_is_known_once_anybody_says_so_and_until_a_person_denies_it(project):
    with Dataset.open(project) as dataset:
        (image,) = dataset.images([int(dataset.image_ids()[5])])
        known = {entry.name: entry.id for entry in dataset.classes()}
        (was,) = dataset.labels_of(image.id)
        other = next(key for key in known.values() if key != was.class_id)
        of_model = ImageLabel(image.id, other, origin=Origin.MODEL)
        undo = dataset.apply(Edit("Propose", (LabelChange(None, of_model),)))
        assert {known[name] for name in classes_known_in(dataset, image)} == {was.class_id, other}
        denied = ImageLabel(image.id, was.class_id, Presence.NEGATIVE)
        back = dataset.apply(Edit("Deny", (LabelChange(was, denied),)))
        assert [known[name] for name in classes_known_in(dataset, image)] == [other]
        dataset.apply(back)
        dataset.apply(undo)


def test_that_an_answer_of_the_engine_has_the_names_and_homes_of_its_checkpoint(project):
    folder = next(iter(project.runs.iterdir())) / "checkpoints" / "best"
    info = checkpoint_info(folder)
    shares = np.array([0.25, 0.25, 0.5]).tolist()
    routed = Routed(
        id=1,
        checkpoint_id=info.id,
        name=info.name,
        routing="superclass",
        layers=[3, 4],
        superclasses=list(info.superclasses),
        probabilities=[shares],
        experts=[[2]],
        classes=[("orange", 0.5)],
        what_if=[[("collie", 0.4)], [("tractor", 0.3)], [("orange", 0.5)]],
    )
    heard = found_by_engine(routed, info)
    assert heard.expert_names == ("1 · animals", "2 · vehicles", "3 · food")
    assert heard.homes_of(["golden retriever"]) == (0,)
    assert heard.what_if_E[1] == (("tractor", 0.3),)
    assert found_by_engine(routed, info, ["a", "b", "c"]).expert_names == ("a", "b", "c")
