#!/bin/bash
# Makes a tree of Debian's arm64 packages that the whole program is linked with on another machine:
# downloads the libraries' development packages with all they depend on and unpacks them. Installs
# nothing, needs no root, and leaves the machine's own list of packages alone.
# Usage: toolchains/make_sysroot.sh [DIRECTORY]     default: build/arm64-sysroot, for the preset arm64-full
set -euo pipefail
if [[ $# -gt 1 || ${1:-} == -* ]]; then
    echo "usage: $0 [DIRECTORY]" >&2
    exit 2
fi
directory=${1:-$(dirname "${BASH_SOURCE[0]}")/../build/arm64-sysroot}
packages=(libhwloc-dev libsimdjson-dev libedit-dev libjpeg-dev libpng-dev libgif-dev libwebp-dev
          zlib1g-dev libsndfile1-dev libmpg123-dev libsoxr-dev libcpp-httplib-dev libopenblas-dev libstdc++6)

mkdir -p "$directory"
root=$(cd "$directory" && pwd)
apt_dir=$root/.apt
mkdir -p "$apt_dir/lists/partial" "$apt_dir/archives/partial"
: > "$apt_dir/status"  # as if nothing were installed
apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64
     -o Dir::State::Lists="$apt_dir/lists" -o Dir::State::status="$apt_dir/status"
     -o Dir::Cache="$apt_dir" -o Dir::Cache::archives="$apt_dir/archives"
     -o Acquire::Retries=3 -o APT::Sandbox::User= -o Debug::NoLocking=1)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends --download-only "${packages[@]}"
for package in "$apt_dir"/archives/*.deb; do
    case "$(basename "$package")" in
        libc6-dev_* | linux-libc-dev_* | libgcc-*-dev_* | libstdc++-*-dev_*) ;;  # the compiler's own serve
        *) dpkg-deb -x "$package" "$root" ;;
    esac
done
# What Debian's alternatives would link when the package is installed.
for library in "$root"/usr/lib/aarch64-linux-gnu/openblas-pthread/lib*.so*; do
    ln -sfn "openblas-pthread/$(basename "$library")" "$root/usr/lib/aarch64-linux-gnu/$(basename "$library")"
done
# Absolute links lead out of the tree: the linker would find this machine's files, or none.
find "$root/usr/lib" "$root/lib" -type l -lname '/*' 2>/dev/null | while read -r link; do
    target=$(readlink "$link")
    ln -sfn "$root$target" "$link"
done
rm -rf "$apt_dir"
