"""Rows 11, 14, 20-22, 25: what is opened, what is refused, and in which words."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest

from locstudio.domain.edits import add_regions
from locstudio.domain.errors import BadInput, DatasetInUse, LocStudioError, NotAProject, TooNew
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.project import Project, create_project, find_project
from locstudio.store.schema import SCHEMA_VERSION


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A closed project with an image and three regions."""
    made = create_project(tmp_path / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(tmp_path)
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(3)])
        box = UnitBox(0.1, 0.1, 0.5, 0.5)
        dataset.apply(add_regions([Region(dataset.next_region_id(), key, box, "a dog") for key in (1, 2, 3)]))
    return made


def changed_by(project: Project, *statements: str) -> None:
    connection = sqlite.connect(str(project.dataset_path), isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_row_14_that_a_second_instance_is_refused_at_once_and_told_who_has_the_project(project: Project):
    holder = (
        "import sys; from pathlib import Path; from locstudio.store.dataset import Dataset; "
        "from locstudio.store.project import Project\n"
        "with Dataset.open(Project(Path(sys.argv[1]))): print('open', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(project.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(DatasetInUse, match=f"open in another LocStudio \\(pid {other.pid}\\)") as refused:
            Dataset.open(project)
        assert refused.value.exit_status == 3
        with Dataset.open(project, read_only=True) as reader:
            assert reader.count_regions() == 3
        other.stdin.write("\n")
        other.stdin.flush()
        other.wait(10)
    with Dataset.open(project) as again:
        assert again.count_regions() == 3


def test_row_15_that_what_a_dead_owner_left_behind_does_not_lock_anybody_out(project: Project):
    project.owner_path.write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with Dataset.open(project) as dataset:
        assert not dataset.is_read_only
        assert json.loads(project.owner_path.read_text())["pid"] == os.getpid()


def test_row_14_that_a_second_opening_in_the_same_process_is_refused_too(project: Project):
    with Dataset.open(project), pytest.raises(DatasetInUse):
        Dataset.open(project)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00", b"\x00" * 4096, os.urandom(4096)])
def test_row_21_that_a_file_which_is_no_database_is_no_project(project: Project, content: bytes):
    project.dataset_path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(NotAProject, match="not a LocStudio project"):
            Dataset.open(project, read_only=read_only)


def test_row_21_that_another_programs_database_is_no_project(project: Project):
    project.dataset_path.unlink()
    changed_by(project, "CREATE TABLE region (id INTEGER)")
    with pytest.raises(NotAProject, match="another program") as refused:
        Dataset.open(project)
    assert refused.value.exit_status == 4


def test_row_21_that_a_folder_without_a_dataset_is_no_project(tmp_path: Path):
    with pytest.raises(NotAProject):
        find_project(tmp_path)
    with pytest.raises(NotAProject):
        Dataset.open(Project(tmp_path))


def test_row_22_that_a_newer_schema_is_refused_with_both_versions(project: Project):
    changed_by(project, f"PRAGMA user_version={SCHEMA_VERSION + 6}")
    for read_only in (False, True):
        with pytest.raises(TooNew, match=f"schema {SCHEMA_VERSION + 6}.* knows schema {SCHEMA_VERSION}") as refused:
            Dataset.open(project, read_only=read_only)
        assert refused.value.exit_status == 6


@pytest.mark.parametrize(
    "hostile",
    [
        "CREATE TRIGGER evil AFTER UPDATE ON region BEGIN DELETE FROM image; END",
        "CREATE VIEW caption_list AS SELECT load_extension('x')",
        "CREATE VIRTUAL TABLE spy USING fts5(text)",
        "CREATE TEMP TRIGGER IF NOT EXISTS x AFTER INSERT ON region BEGIN SELECT 1; END",
    ],
)
def test_row_25_that_programs_in_a_strangers_file_are_refused(project: Project, hostile: str):
    changed_by(project, hostile)
    if "TEMP" in hostile:  # lives in its own connection only
        with Dataset.open(project) as dataset:
            assert dataset.integrity() == []
        return
    for read_only in (False, True):
        with pytest.raises(BadInput, match="which LocStudio did not make"):
            Dataset.open(project, read_only=read_only)


def test_row_25_that_a_trigger_of_ours_with_other_words_is_refused(project: Project):
    changed_by(
        project,
        "DROP TRIGGER region_words_insert",
        "CREATE TRIGGER region_words_insert AFTER INSERT ON region BEGIN DELETE FROM image; END",
    )
    with pytest.raises(BadInput, match="region_words_insert"):
        Dataset.open(project)


def test_row_25_that_a_table_which_is_really_a_view_is_refused(project: Project):
    changed_by(
        project,
        "PRAGMA legacy_alter_table=ON",
        "ALTER TABLE setting RENAME TO hidden",
        "CREATE VIEW setting AS SELECT * FROM hidden",
    )
    with pytest.raises(BadInput, match="view"):
        Dataset.open(project)


def use(project: Project) -> list[str]:
    """Everything a window does in its first minute; returns what the check of integrity says."""
    with Dataset.open(project) as dataset:
        dataset.image_ids()
        for image in dataset.image_page(ImageFilter(words="dog"), limit=5) + dataset.image_page(limit=5):
            dataset.regions_of(image.id)
            dataset.captions_of(image.id)
        dataset.facets()
        dataset.phrases()
        dataset.history()
        dataset.classes()
        dataset.runs()
        dataset.undo()
        dataset.redo()
        return dataset.integrity()


def refusals(project: Project) -> list[str]:
    """The sentence with which a window's first minute ended, if it did."""
    try:
        use(project)
    except LocStudioError as refused:
        return [str(refused)]
    return []


@pytest.mark.parametrize("seed", range(12))
def test_row_20_that_flipped_bytes_are_refused_or_found_and_never_a_traceback(project: Project, seed: int):
    whole = project.dataset_path.read_bytes()
    rng = random.Random(seed)
    for _ in range(4):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 4, 64))):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        for suffix in ("-wal", "-shm"):
            Path(f"{project.dataset_path}{suffix}").unlink(missing_ok=True)
        shutil.rmtree(project.backups, ignore_errors=True)
        project.dataset_path.write_bytes(damaged)
        assert all(sentence.endswith(".") for sentence in refusals(project))


def test_row_20_that_a_damaged_page_of_regions_is_found_by_the_check(project: Project):
    content = bytearray(project.dataset_path.read_bytes())
    for start in range(4096, len(content), 4096):
        if b"a dog" in content[start : start + 4096]:
            content[start : start + 8] = b"\xff" * 8
    project.dataset_path.write_bytes(content)
    assert any("damaged" in sentence for sentence in refusals(project) or use(project))


def test_row_11_that_a_read_only_folder_is_read_and_refused_for_writing(project: Project):
    if os.getuid() != 0:
        os.chmod(project.path, 0o555)
        os.chmod(project.dataset_path, 0o444)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from locstudio.store.dataset import Dataset; from locstudio.store.project import Project\n"
        "from locstudio.domain.errors import StorageFailed\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "project = Project(Path(sys.argv[1]))\n"
        "with Dataset.open(project, read_only=True) as dataset: print(dataset.count_regions())\n"
        "try: Dataset.open(project)\n"
        "except StorageFailed as error: print(error)\n"
    )
    for folder in (project.path, *project.path.parents):  # let the other user through, not write
        if folder != Path("/") and os.getuid() == 0 and folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    done = subprocess.run([sys.executable, "-c", script, str(project.path)], capture_output=True, text=True, timeout=60)
    if os.getuid() != 0:
        os.chmod(project.path, 0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "3"
    assert "open it read-only" in lines[1]
    assert sorted(name for name in os.listdir(project.path) if name.startswith("dataset")) == ["dataset.sqlite"]


def test_row_25_that_a_trigger_with_the_name_of_a_table_that_sqlite_keeps_is_refused(project: Project):
    changed_by(project, "CREATE TRIGGER region_words_data AFTER UPDATE ON region BEGIN DELETE FROM image; END")
    with pytest.raises(BadInput, match="region_words_data"):
        Dataset.open(project)
