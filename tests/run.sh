#!/bin/bash
# Installs the system packages that are missing and runs all tests: under the address and undefined
# behaviour sanitizers, under the thread sanitizer, for 64-bit ARM under qemu, and as the developer
# preset builds them.
# Usage: tests/run.sh [--quick | --tidy]
#   --quick  only the developer preset
#   --tidy   before everything else clang-tidy, as the preset tidy runs it
# Exits 0 only if everything passed. The last thing printed is ctest's summary of the preset `dev` or,
# where something failed, the names of what did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

case "${1:-}" in
    "") presets=(asan tsan arm64 dev) ;;
    --quick) presets=(dev) ;;
    --tidy) presets=(tidy asan tsan arm64 dev) ;;
    *) echo "usage: $0 [--quick | --tidy]" >&2; exit 2 ;;
esac

purposes=(build test)
[[ ${presets[*]} == *arm64* ]] && purposes+=(arm64)
toolchains/install_packages.sh "${purposes[@]}" || exit 1
if command -v ninja >/dev/null; then
    export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
fi
jobs=$(nproc)

# The thread sanitizer of g++ 12 refuses to start where the kernel randomises many address bits.
fixed_addresses=()
if command -v setarch >/dev/null && setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
fi

run_preset() {
    local preset=$1 prefix=()
    [[ $preset == tsan ]] && prefix=("${fixed_addresses[@]}")
    echo "== $preset =="
    cmake --preset "$preset" || return 1
    cmake --build --preset "$preset" --parallel "$jobs" || return 1
    [[ $preset == tidy ]] && return 0
    "${prefix[@]}" ctest --preset "$preset" --parallel "$jobs"
}

failed=()
for preset in "${presets[@]}"; do
    start=$SECONDS
    run_preset "$preset" || failed+=("$preset")
    [[ $preset == dev ]] || echo "== $preset: $((SECONDS - start)) s =="
done

for preset in "${failed[@]}"; do
    echo "FAILED: $preset"
    cat "build/$preset/Testing/Temporary/LastTestsFailed.log" 2>/dev/null
done
[[ ${#failed[@]} -eq 0 ]]
