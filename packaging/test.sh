#!/usr/bin/env bash
# Every check in one command: ruff, mypy --strict, lint-imports and pytest, in `.venv` of the checkout.
# Two checks go on at a time, each room of the tests by itself: a machine of two cores needs little more than half the time.
# Arguments go to pytest, which then runs alone: packaging/test.sh tests/store -k undo
set -euo pipefail
bash "$(dirname "$0")/system_packages.sh" --display
source "$(dirname "$0")/environment.sh" "[test]"

export PATH="$checkout/.venv/bin:$PATH" QT_QPA_PLATFORM=offscreen
ruff check .
ruff format --check .
if [ $# -eq 0 ]; then
  exec python packaging/side_by_side.py
fi
mypy
lint-imports
exec pytest "$@"
