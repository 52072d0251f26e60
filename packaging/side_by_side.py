"""Every check that needs the installation, two at a time: mypy, the import rules, and the tests a room at a time.

A room is a folder of pyproject.toml's ``testpaths``, which lists the longest first.  Each has a pytest of its own, so
no check knows of the other that goes on beside it; what it says comes whole when it ends.  Status 1 when one failed.

    python packaging/side_by_side.py        from the root of the checkout, with the environment's commands on the path
"""

import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_A_TIME = 2


def main() -> int:
    options = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    checks = [["pytest", room] for room in options["testpaths"]]
    checks[1:1] = [["mypy"], ["lint-imports"]]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        passed = list(pool.map(_passes, checks))
    failed = [" ".join(check) for check, is_good in zip(checks, passed, strict=True) if not is_good]
    print(f"Failed: {', '.join(failed)}" if failed else f"All {len(checks)} checks passed.")
    return 1 if failed else 0


def _passes(check: list[str]) -> bool:
    began = time.monotonic()
    print(f"{' '.join(check)} ...", flush=True)
    done = subprocess.run(check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    seconds = time.monotonic() - began
    print(f"{' '.join(check)}: status {done.returncode} after {seconds:.0f} s\n{done.stdout}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
