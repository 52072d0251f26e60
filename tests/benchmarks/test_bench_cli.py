"""How soon the command line answers; budget: `--version` in 150 ms, of which Python's own start is the reference."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["-c", "pass"], ["-m", "locstudio", "--version"], ["-m", "locstudio", "--help"]])
def test_that_a_command_answers_in_the_time_python_takes_to_start(benchmark, words):
    done = benchmark(lambda: subprocess.run([sys.executable, *words], capture_output=True, check=False))
    assert done.returncode == 0
