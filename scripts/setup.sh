# shellcheck shell=sh
# Sourced by the scripts beside it: a virtual environment with this package in it.
# The variable `extras` names what to install beside the base, such as "testing".

set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python must be 3.11 or newer, got $("$python" --version); set PYTHON to one" >&2
    exit 2
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
}

# Without an NVIDIA card, the CUDA libraries that a newer torch brings are gigabytes
# for nothing: this release is the one for which a CPU build is usually at hand.
if ! command -v nvidia-smi >/dev/null && ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    install torch==2.13.0
fi
install --editable ".${extras:+[$extras]}"
