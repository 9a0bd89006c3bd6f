#!/usr/bin/env bash
# Builds the image and tests it: as its own uid, without capabilities, on a read-only root, in a separate network.
# Needs root, buildah and mmdebstrap, but no container runtime. Uses one temporary folder, and removes it.
#
#   docker/image.sh                        as `make image` does
#   SAVE=image.tar docker/image.sh         also saves the image for `docker load`
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
dockerfile=$here/Dockerfile

if [ "$(id -u)" != 0 ]; then
    kept=SAVE,http_proxy,https_proxy,no_proxy,PIP_CERT,PIP_CONFIG_FILE,PIP_EXTRA_INDEX_URL,PIP_INDEX_URL,PIP_PROXY
    exec sudo --preserve-env="$kept" "$0" "$@"
fi

scratch=$(mktemp -d --tmpdir harbor-swr-adapter-image.XXXXXX)
store() { buildah --root "$scratch/store" --runroot "$scratch/run" --storage-driver vfs "$@"; }

clean_up() {
    trap - EXIT INT TERM
    store umount --all >/dev/null 2>&1 || true
    # rm must not follow a remaining mount into this machine.
    if grep --quiet " $scratch/" /proc/self/mounts; then
        echo "cannot remove $scratch: something is still mounted there, unmount it first" >&2
        exit 1
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# The base, under the tag in the Dockerfile, from the package sources of this machine.

# Without the digest, which is that of Docker Hub's image.
base=$(sed -n 's/^ARG BASE=\([^@]*\).*/\1/p' "$dockerfile")
suite=${base#*:}
suite=${suite%-slim}

sources() { # This machine's Debian sources, for the suite of the image; none if it is not a Debian
    local machine file
    machine=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}") || return 0
    [ -n "$machine" ] || return 0
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        if [ -e "$file" ] && grep --quiet --extended-regexp '^(deb |Types:)' "$file"; then
            sed --regexp-extended "s/\b$machine\b/$suite/g" "$file" >"$scratch/${file##*/}"
            echo "$scratch/${file##*/}"
        fi
    done
}

make_base() {
    local given option container options=()
    mapfile -t given < <(sources)
    while read -r option; do
        options+=("--aptopt=$option")
    done < <(apt-config dump | grep --ignore-case --extended-regexp '^Acquire::(https?::Proxy|Check-)' || true)
    mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" "$suite" "$scratch/base.tar" "${given[@]}"
    container=$(store from scratch)
    store add --quiet "$container" "$scratch/base.tar" / >/dev/null
    store config --cmd /bin/sh "$container"
    store commit --quiet --rm "$container" "$base" >/dev/null
    rm "$scratch/base.tar"
}

# The pip configuration of this machine, from files and variables. Mounted for the build, never part of the image.

pip_configuration() {
    mkdir "$scratch/pip"
    python3 -I - "$scratch/pip" <<'PYTHON'
import os, pathlib, shutil, subprocess, sys

folder = pathlib.Path(sys.argv[1])
listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
wanted = {"cert", "default-timeout", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host"}
values = {}
for line in listed.stdout.splitlines():
    name, _, value = line.partition("=")
    option = name.rpartition(".")[2].replace("_", "-")
    if option in wanted and not (name.startswith("global.") and option in values):
        values[option] = value.strip("'\"")
if certificates := values.get("cert"):
    shutil.copy(certificates, folder / "ca.crt")
    values["cert"] = "/mnt/ca.crt"
lines = ["[global]", *(f"{name} = {value}" for name, value in values.items())]
(folder / "pip.conf").write_text("\n".join(lines) + "\n")
PYTHON
}

build() {
    local version
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source/adapter/__init__.py")
    image=harbor-swr-adapter:$version
    # Docker format, because the OCI format has no HEALTHCHECK.
    store build --quiet --isolation chroot --format docker --pull-never --layers=false \
        --volume "$scratch/pip:/mnt:ro" --build-arg PIP_CONFIG_FILE=/mnt/pip.conf \
        --build-arg BASE="$base" --build-arg VERSION="$version" --tag "$image" --file "$dockerfile" "$source" >/dev/null
    store inspect --type image "$image" >"$scratch/image.json"
}

try_out() {
    local container root
    container=$(store from --pull-never "$image")
    root=$(store mount "$container")
    echo "size of the file system: $(du --summarize --block-size=M "$root" | cut --fields=1)"
    # In separate namespaces, so that its mounts and processes end with it.
    unshare --mount --pid --fork --kill-child --net --ipc --uts \
        python3 -I "$here/try.py" "$root" "$scratch/image.json"
    store rm "$container" >/dev/null
}

make_base
pip_configuration
build
try_out
if [ -n "${SAVE:-}" ]; then
    store push --quiet "$image" "docker-archive:$SAVE:$image"
    echo "saved: $SAVE"
fi
echo "$image: built, started and stopped"
