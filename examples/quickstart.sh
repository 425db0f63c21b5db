#!/bin/bash
# From a fresh clone to a first answer: installs the system packages that are missing, builds a
# release, and lets the small model in examples/data answer a prompt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

toolchains/install_packages.sh build
if command -v ninja >/dev/null; then
    export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
fi
cmake --preset release
cmake --build --preset release --parallel "$(nproc)"

gemlet=build/release/gemlet
model=examples/data/gemma-4-nano
prompt="Reverse the words: key ball boat gold seven"
echo
echo "\$ $gemlet run $model -p \"$prompt\" --temperature 0"
"$gemlet" run "$model" -p "$prompt" --temperature 0 </dev/null
