#!/bin/bash
# Measures gemlet and llama.cpp on the same GGUF file, interleaved, and prints the ratios.
# Installs llama-cpp-python, built for this machine, into build/peers (about 15 minutes on two cores,
# once). Usage: bench/peers/run.sh MODEL.gguf [compare.py's options]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ $# -ge 1 ]] || { echo "usage: $0 MODEL.gguf [--prompt 512] [--generate 64] [--runs 5] [--threads 2]" >&2; exit 2; }

gemlet=build/release/gemlet
if [[ ! -x $gemlet ]]; then
    cmake --preset release
    cmake --build --preset release --parallel "$(nproc)"
fi
environment=build/peers
if [[ ! -x $environment/bin/python ]]; then
    python3 -m venv "$environment"
fi
if ! "$environment/bin/python" -c "import llama_cpp" 2>/dev/null; then
    CMAKE_ARGS="-DGGML_NATIVE=ON" CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)" \
        "$environment/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python numpy
fi
exec "$environment/bin/python" bench/peers/compare.py "$gemlet" "$@"
