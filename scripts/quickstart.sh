#!/usr/bin/env bash
# Make .venv, install jgpt into it, and run the whole pipeline on the embedded default corpus. Flags go to `jgpt quickstart`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
install ""
exec .venv/bin/jgpt quickstart "$@"
