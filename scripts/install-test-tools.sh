#!/usr/bin/env bash
# Installs the programs that the interop and browser tests use, where they are missing: the distribution's packages (as
# root or with sudo), a current ffmpeg, which speaks Enhanced RTMP, and programs in Python into target/test-tools, and
# the players of web pages into tests/browser/node_modules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
    gcc libc6-dev
    ffmpeg rtmpdump
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
    python3 python3-venv curl
    mpv vlc-bin vlc-plugin-base
    chromium
    faketime iproute2 nftables
)
programs=(cc ffmpeg ffprobe rtmpdump gst-launch-1.0 python3 curl mpv vlc chromium)
# Where node and npm are there already they may come from elsewhere than the distribution.
for program in node npm; do
    if command -v "$program" >/dev/null; then
        continue
    fi
    packages+=(nodejs npm)
    programs+=(node npm)
    break
done

# The wheel, of which only the static ffmpeg inside is taken, for x86-64 and for 64-bit ARM.
wheel="imageio-ffmpeg==0.8.1"
wheel_hashes=(
    "--hash=sha256:050d6850601c3b3890bd2b28306f3b842b3daea390a561101174375a1c460bda"
    "--hash=sha256:fad3176f859b25869e60a8ed79957d4e3ed74a97a95e5f0cdcb91455f6c6d00e"
)
tools=target/test-tools

# Runs a command without a word; shows what it said where it fails.
quietly() {
    local said
    if ! said=$("$@" 2>&1); then
        printf '%s\nfailed: %s\n' "$said" "$*" >&2
        return 1
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install_packages() {
    local missing=() package
    for package in "${packages[@]}"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return
    fi
    printf 'installing %s\n' "${missing[*]}"
    quietly as_root apt-get -o Acquire::Retries=3 -qq update
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o Acquire::Retries=3 -qq install --yes --no-install-recommends "${missing[@]}"
}

check_programs() {
    local program
    for program in "${programs[@]}"; do
        if ! command -v "$program" >/dev/null; then
            printf 'missing: %s (this is no Debian, so please install it yourself)\n' "$program" >&2
            return 1
        fi
    done
}

install_current_ffmpeg() {
    local stamp="$tools/$wheel"
    if [ -e "$stamp" ] && [ -x "$tools/ffmpeg" ]; then
        return
    fi
    printf 'fetching a current ffmpeg (%s)\n' "$wheel"
    mkdir -p "$tools"
    work=$(mktemp -d "$tools/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # The distribution's pip is only for the distribution's packages; one in a venv is ours.
    quietly python3 -m venv "$work/venv"
    printf '%s %s\n' "$wheel" "${wheel_hashes[*]}" >"$work/requirements.txt"
    quietly "$work/venv/bin/pip" --disable-pip-version-check download \
        --no-deps --only-binary :all: --retries 5 --dest "$work" --requirement "$work/requirements.txt"
    quietly python3 -m zipfile --extract "$work"/*.whl "$work/wheel"
    chmod +x "$work"/wheel/imageio_ffmpeg/binaries/ffmpeg-*
    mv "$work"/wheel/imageio_ffmpeg/binaries/ffmpeg-* "$tools/ffmpeg"
    quietly "$tools/ffmpeg" -version
    touch "$stamp"
}

# What reads the API's description and the metrics, at the versions of tests/operator/requirements.txt.
install_python_tools() {
    local wanted=tests/operator/requirements.txt folder="$tools/python" digest
    local stamp="$folder/.rtmpd-installed"
    digest=$(sha256sum <"$wanted")
    if [ -e "$stamp" ] && [ "$(<"$stamp")" = "$digest" ] && [ -x "$folder/bin/schemathesis" ]; then
        return
    fi
    printf 'fetching schemathesis and the client library of Prometheus (%s)\n' "$wanted"
    quietly python3 -m venv --clear "$folder"
    quietly "$folder/bin/pip" --disable-pip-version-check install \
        --only-binary :all: --retries 5 --requirement "$wanted"
    printf '%s\n' "$digest" >"$stamp"
}

# The players of web pages, at the versions and with the digests of package-lock.json.
install_web_players() {
    local folder=tests/browser/node_modules digest
    local stamp="$folder/.rtmpd-installed"
    digest=$(sha256sum <tests/browser/package-lock.json)
    if [ -e "$stamp" ] && [ "$(<"$stamp")" = "$digest" ]; then
        return
    fi
    printf 'fetching the players of web pages (tests/browser/package.json)\n'
    quietly npm --prefix tests/browser ci --ignore-scripts --no-audit --no-fund
    printf '%s\n' "$digest" >"$stamp"
}

if command -v apt-get >/dev/null; then
    install_packages
else
    check_programs
fi
install_current_ffmpeg
install_python_tools
install_web_players
