#!/bin/bash
# From a fresh clone to a first answer: installs the system packages that are missing, builds a
# release, and lets the small model in examples/data answer a prompt, describe a picture and write
# down a sentence.
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

# ask PROMPT [OPTION..]: prints the command and runs it.
ask() {
    echo
    echo "\$ $gemlet run $model -p \"$1\" ${*:2}"
    "$gemlet" run "$model" -p "$1" "${@:2}" </dev/null
}
ask "Reverse the words: key ball boat gold seven" --temperature 0
ask "What shapes are in the picture?" --image examples/data/pictures/shape.jpg --budget 70 --temperature 0

echo
echo "\$ $gemlet transcribe $model examples/data/sounds/sentence.flac --language en --format srt"
"$gemlet" transcribe "$model" examples/data/sounds/sentence.flac --language en --format srt
