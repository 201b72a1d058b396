#!/usr/bin/env bash
# Makes an arm64 Python with EdgeMatrix's packages in FOLDER, for test_light_host.py: Debian's own, run by qemu's user mode. Needs root, for apt.
set -euo pipefail
folder=${1:-$HOME/.cache/edgematrix-arm64}
mkdir -p "$folder/debs" "$folder/root" "$folder/wheels" "$folder/site"
apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null
foreign=$(dpkg --print-foreign-architectures | grep -x arm64 || true)
[ -n "$foreign" ] || dpkg --add-architecture arm64
apt-get update -qq
(cd "$folder/debs" && apt-get download -qq python3.11-minimal:arm64 libpython3.11-minimal:arm64 libpython3.11-stdlib:arm64 libc6:arm64 \
  libexpat1:arm64 zlib1g:arm64 libssl3:arm64 libffi8:arm64 libsqlite3-0:arm64 libbz2-1.0:arm64 liblzma5:arm64 libuuid1:arm64 \
  libgcc-s1:arm64 libstdc++6:arm64 libcrypt1:arm64 libncursesw6:arm64 libreadline8:arm64 libtinfo6:arm64)
if [ -z "$foreign" ]; then
  dpkg --remove-architecture arm64
  apt-get update -qq
fi
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
packages=$(python3 -c "import tomllib; print(' '.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))")
platforms=""
for number in 17 28 34 36; do platforms="$platforms --platform manylinux_2_${number}_aarch64"; done
# shellcheck disable=SC2086 - they are words
python3 -m pip download -q --only-binary=:all: --python-version 3.11 --implementation cp --platform manylinux2014_aarch64 $platforms -d "$folder/wheels" $packages
for wheel in "$folder"/wheels/*.whl; do (cd "$folder/site" && python3 -m zipfile -e "$wheel" .); done
echo "$folder is ready: pytest -m slow tests/arm"
