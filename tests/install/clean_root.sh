#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The packages of a build on a Debian 12 that has seen neither the build nor anything but what apt gives it:
#
#   clean_root.sh BUILD [MODEL.gguf]     default SmolLM2, fetched if need be
#
# 1. the .deb of the programs, their libraries by apt: each program run on the model and on its dump, as nobody;
#    then the .deb of the library and the project beside this script, by CMake and by pkg-config; all removed again
# 2. the .tar.gz under /opt, with the packages that apps/package/README.md names: the same runs
#
# Needs root, debootstrap and a Debian mirror (RA_DEBIAN_MIRROR); 2 GB under TMPDIR; 4 minutes of one core.
set -euo pipefail
usage="usage: clean_root.sh BUILD [MODEL.gguf]"
build=$(realpath "${1:?$usage}")
here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")
mirror=${RA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
refuse() { echo "clean_root.sh: error: $1" >&2 && exit "$2"; }
((EUID == 0)) || refuse "root is needed: -: -: a root file system is made and entered" 77
command -v debootstrap >/dev/null || refuse "no debootstrap: -: -: apt-get install debootstrap" 77
[[ -f $build/CPackConfig.cmake ]] || refuse "no build: $build: CPackConfig.cmake: not there (cmake --preset release)" 66
model=$(realpath "${2:-$("$top/datasets/fetch" smollm2)}")

work=$(mktemp -d "${TMPDIR:-/tmp}/clean-root.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
step() { printf -- '-- %s\n' "$*"; }

# /proc is mounted for one command, in a name space of its own, so that nothing is left mounted.
enter() { # ROOT USER COMMAND...
  # shellcheck disable=SC2016
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    unshare --mount -- sh -c 'root=$1 user=$2; shift 2; mount -t proc proc "$root/proc"; exec chroot --userspec="$user" "$root" "$@"' \
    enter "$@"
}
apt_install() { # ROOT PACKAGE...
  local root=$1
  shift
  enter "$root" root apt-get install -y -q --no-install-recommends "$@" >"$work/apt.log" 2>&1 ||
    { cat "$work/apt.log" && refuse "apt-get: $root: -: $*" 1; }
}

step "pack $build"
cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/cpack.log" || { cat "$work/cpack.log" && exit 1; }
step "make a Debian 12 root"
debootstrap --variant=minbase bookworm "$work/root" "$mirror" >"$work/debootstrap.log" || { tail "$work/debootstrap.log" && exit 1; }
mkdir "$work/root/srv/given"
cp "$work"/packages/retrieval-attention_*.deb "$work/root/srv/given/programs.deb"
cp "$work"/packages/libretrieval-attention-dev_*.deb "$work/root/srv/given/library.deb"
cp -r "$here" "$work/root/srv/given/project"
cp "$model" "$work/root/srv/given/model.gguf"
cat "$top"/{,apps/,lib/,experiments/}README.md >"$work/root/srv/given/text.txt"
cp "$here/first_run.sh" "$work/root/srv/given"
cp -a "$work/root" "$work/archive-root"

root=$work/root
step "1. install the programs' .deb"
apt_install "$root" /srv/given/programs.deb
enter "$root" nobody /srv/given/first_run.sh /usr/bin
step "1. install the library's .deb and a compiler, build a project"
apt_install "$root" /srv/given/library.deb g++ cmake make
enter "$root" nobody /bin/sh -euc '
  cmake -S /srv/given/project -B /tmp/by-cmake -DCMAKE_BUILD_TYPE=Release >/tmp/by-cmake.log || { cat /tmp/by-cmake.log; exit 1; }
  cmake --build /tmp/by-cmake
  g++ -std=c++20 -O2 /srv/given/project/search_dump.cc $(pkg-config --cflags --libs retrieval-attention) -o /tmp/by-pkg-config
  for program in /tmp/by-cmake/search_dump /tmp/by-pkg-config; do $program /tmp/first-run/dump.h5; done'
step "1. remove both"
enter "$root" root apt-get purge -y -q retrieval-attention libretrieval-attention-dev >"$work/apt.log" 2>&1 || { cat "$work/apt.log" && exit 1; }
left=$(find "$root"/usr "$root"/etc "$root"/var/lib -path "$root/var/lib/apt" -prune -o \( -name '*retrieval-attention*' -o -name 'ra-*' \) -print)
[[ -z $left ]] || refuse "not removed: $root: -: $left" 1

root=$work/archive-root
step "2. unpack the .tar.gz, install the libraries that the page names"
mkdir "$root/opt/ra"
tar -xzf "$work"/packages/*.tar.gz -C "$root/opt/ra" --strip-components=1
read -ra libraries < <(sed -n 's/^    apt-get install //p' "$top/apps/package/README.md")
((${#libraries[@]})) || refuse "no line with apt-get install: apps/package/README.md: -: the archive needs it" 1
apt_install "$root" "${libraries[@]}"
enter "$root" nobody /srv/given/first_run.sh /opt/ra/bin
step "clean root: all well"
