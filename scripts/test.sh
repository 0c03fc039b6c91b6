#!/usr/bin/env bash
# Make .venv, install jgpt with what its tests need, and run lint, types, import contract and tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
install "[dev]"
step() { echo "── $1" >&2; }
step "lint"; .venv/bin/ruff check .; .venv/bin/ruff format --check .
step "types"; .venv/bin/mypy
step "import contract"; .venv/bin/lint-imports
step "tests"; exec .venv/bin/python -m pytest "$@"
