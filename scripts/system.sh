# shellcheck shell=sh
# Sourced by `test`: the system libraries of Qt and software OpenGL, and Xvfb.

packages="xvfb xauth x11-utils libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 \
libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"

missing=""
if command -v dpkg-query >/dev/null; then
    for package in $packages; do
        # libglib2.0-0 is called libglib2.0-0t64 since Debian 13 and Ubuntu 24.04
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" "${package}t64" \
            2>/dev/null | grep -q '^installed' || missing="$missing $package"
    done
fi

if [ -n "$missing" ]; then
    command="apt-get update && apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        export DEBIAN_FRONTEND=noninteractive
        sh -c "$command" >/dev/null
    else
        echo "The window tests need system libraries; run this line, then this script again:" >&2
        echo "  sudo sh -c '$command'" >&2
        exit 2
    fi
fi
