# Sourced by run.sh and test.sh: makes `.venv` in the checkout and installs LocStudio into it, once per change of pyproject.toml.
# Usage: source environment.sh EXTRAS

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$checkout"

python=""
for candidate in "${LOCSTUDIO_PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "LocStudio needs Python 3.11 or newer; set LOCSTUDIO_PYTHON to one." >&2
  exit 2
fi

wanted="$(sha256sum pyproject.toml | cut -d' ' -f1) $1"
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
  echo "Installing LocStudio into $checkout/.venv (PyTorch is about 3 GB to fetch, once) ..."
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$1"
  echo "$wanted" > .venv/installed
fi
