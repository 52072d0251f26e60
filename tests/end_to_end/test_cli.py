"""The command line answers quickly, in sentences, with the exit status it promises."""

import subprocess
import sys

import pytest

from locstudio.cli import main


def test_that_the_version_needs_no_heavy_import():
    code = (
        "import sys; from locstudio.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PySide6', 'sqlalchemy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("locstudio 0.")


@pytest.mark.parametrize(
    "words",
    [
        ["search", "p", "--box", "1,2,3"],
        ["search", "p", "--top", "0"],
        ["import", "p", "x.json"],
        ["train", "p"],
        ["--nonsense"],
    ],
)
def test_that_wrong_usage_is_status_2_with_a_sentence(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "--help" in capsys.readouterr().err


def test_that_a_folder_without_a_project_is_bad_input(tmp_path, capsys):
    assert main(["info", str(tmp_path / "nothing")]) == 4
    assert "nothing" in capsys.readouterr().err
