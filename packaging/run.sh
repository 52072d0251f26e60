#!/usr/bin/env bash
# The main job in one command: installs LocStudio into `.venv`, then opens the demo project.
# Without a display it makes the guided tour instead: screenshots and a report in the folder it names.
set -euo pipefail
bash "$(dirname "$0")/system_packages.sh"
source "$(dirname "$0")/environment.sh" ""

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname)" = "Darwin" ]; then
  exec .venv/bin/locstudio demo "$@"
fi
exec .venv/bin/locstudio demo --tour "${1:-$checkout/tour}"
