# Sourced by quickstart.sh and test.sh: install EXTRAS puts jgpt into .venv with the pinned versions of constraints.txt.
# Skipped when nothing that decides the installation has changed. pip's own settings (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL,
# PIP_FIND_LINKS, …) are honoured.

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "jgpt needs Python 3.11 or newer and found $(python3 --version 2>&1 | head -n 1): install one, or name it: PYTHON=/path/to/python3.11 $0" >&2
  exit 1
}

install() {
  local extras=$1 python wanted stamp
  if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(find_python)
    echo "making .venv with $("$python" --version)" >&2
    rm -rf .venv
    "$python" -m venv .venv
  fi
  # the extras of earlier installations stay, so the two scripts do not undo each other
  wanted=$(cat pyproject.toml constraints.txt scripts/install.sh stage/version.py |
    .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
  stamp=.venv/installed${extras//[^a-z]/-}
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  echo "installing jgpt$extras and what it needs into .venv (some minutes the first time) …" >&2
  # compat: a plain path entry, which a clone named jgpt in the current directory does not hide, as it does a finder
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
    --config-settings editable_mode=compat --editable ".$extras"
  echo "$wanted" >"$stamp"
}
