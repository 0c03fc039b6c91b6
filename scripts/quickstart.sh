#!/usr/bin/env bash
# Make .venv, install jgpt into it, and run the whole pipeline on the embedded default corpus. Flags go to `jgpt quickstart`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
install ""
# training is some 4 % faster with tcmalloc, where that is installed (docs/experiments.md)
tcmalloc=$(ldconfig -p 2>/dev/null | awk '/libtcmalloc(_minimal)?\.so/ { print $NF; exit }' || true)
[ -z "$tcmalloc" ] || export LD_PRELOAD="$tcmalloc${LD_PRELOAD:+:$LD_PRELOAD}"
exec .venv/bin/jgpt quickstart "$@"
