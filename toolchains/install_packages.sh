#!/bin/bash
# Installs the system packages (Debian 12, Ubuntu 24.04 or later) that are missing, and nothing when
# none is. The only list of them.
# Usage: toolchains/install_packages.sh [build] [test] [video] [arm64]     what for; default: build
set -euo pipefail

build_packages=(
    g++ cmake ninja-build ccache
    libhwloc-dev         # topology of the machine
    nlohmann-json3-dev   # small JSON documents
    libsimdjson-dev      # tokenizer.json, 30 MB on the way of every start
    libcli11-dev         # command line
    libedit-dev          # line editing in gemlet chat
    libjpeg-dev libpng-dev libgif-dev libwebp-dev   # pictures
    zlib1g-dev           # how well transcripts compress
    libsndfile1-dev libmpg123-dev libsoxr-dev   # sound
    libeigen3-dev libopenblas-dev   # linear algebra of gemlet quantize
    libcpp-httplib-dev   # gemlet serve
)
video_packages=(         # large, and few need them
    libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
)
test_packages=(
    libgtest-dev python3 clang-format-14 clang-tidy-14
)
arm64_packages=(         # cross compiler, and an emulator for the tests
    g++-aarch64-linux-gnu qemu-user-static
)

wanted=()
for purpose in "${@:-build}"; do
    case "$purpose" in
        build) wanted+=("${build_packages[@]}") ;;
        test) wanted+=("${test_packages[@]}") ;;
        video) wanted+=("${video_packages[@]}") ;;
        arm64) wanted+=("${arm64_packages[@]}") ;;
        *) echo "usage: $0 [build] [test] [video] [arm64]" >&2; exit 2 ;;
    esac
done

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi

echo "installing: ${missing[*]}"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "not root and no sudo; install these packages first: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
# Waits for another apt instead of failing; retries, since mirrors fail now and then.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
     -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
"${apt[@]}" update </dev/null
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null
