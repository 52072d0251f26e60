#!/usr/bin/env bash
# Every check in one command: ruff, mypy --strict, lint-imports and pytest, in `.venv` of the checkout.
# Arguments go to pytest: packaging/test.sh tests/store -k undo
set -euo pipefail
bash "$(dirname "$0")/system_packages.sh" --display
source "$(dirname "$0")/environment.sh" "[test]"

export PATH="$checkout/.venv/bin:$PATH" QT_QPA_PLATFORM=offscreen
ruff check .
ruff format --check .
mypy
lint-imports
pytest "$@"
