#!/usr/bin/env bash
# Install the system libraries that Qt needs and that a bare Debian or Ubuntu lacks. Says what is missing elsewhere.
# Usage: system_packages.sh [--display]    with --display also a virtual X server and the tools that drive a window
set -euo pipefail

packages=(libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon0 libglib2.0-0 fonts-dejavu-core)
if [ "${1:-}" = "--display" ]; then
  packages+=(xvfb xauth libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0)
fi

command -v dpkg-query >/dev/null || exit 0
missing=()
for package in "${packages[@]}"; do
  # Debian 13 and Ubuntu 24.04 call some of them NAMEt64; dpkg-query fails when one of the two names is unknown.
  states=$(dpkg-query -W -f '${Status}\n' "$package" "${package}t64" 2>/dev/null || true)
  grep -q '^install ok installed' <<<"$states" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "These system packages are missing: ${missing[*]}" >&2
    echo "Install them with: sudo apt-get install ${missing[*]}" >&2
    exit 0
  fi
  as_root=(sudo -n)
fi
echo "Installing system packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
