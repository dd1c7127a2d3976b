#!/bin/sh
# Makes a virtual environment with this machine's Python and installs the checkout into it.
# usage: tools/make_venv.sh DIR [EXTRA]     EXTRA: dev
# Installs Debian's python3-venv where it is missing and may be installed (root); says the remedy where it may not.
set -eu
dir=$1
extra=${2:-}
top=$(cd "$(dirname "$0")/.." && pwd)

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python3.9}; do
    if usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "eniagent needs Python 3.9 or newer; none was found. Debian: apt-get install python3 python3-venv. Amazon Linux 2023: its python3 will do." >&2
    exit 1
fi

if [ ! -x "$dir/bin/pip" ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package="python3-venv"
        if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
            echo "Python lacks ensurepip: installing $package" >&2
            apt-get update -qq >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" ca-certificates >/dev/null
        else
            echo "Python lacks ensurepip, so no virtual environment can be made. Remedy: sudo apt-get install $package, then the same command again." >&2
            exit 1
        fi
    fi
    "$python" -m venv "$dir"
fi
# Editable installs from pyproject.toml need pip 21.3; bullseye's python3-venv brings 20.3.
if ! "$dir/bin/pip" install --quiet --upgrade 'pip>=21.3' || ! "$dir/bin/pip" install --quiet --editable "$top${extra:+[$extra]}"; then
    echo "pip could not install eniagent's libraries (its own message is above). Behind a proxy or mirror, set PIP_INDEX_URL and PIP_CERT." >&2
    exit 1
fi
