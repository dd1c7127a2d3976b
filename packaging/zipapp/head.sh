#!/bin/sh
# eniagent.pyz: a shell script, then a zip file that Python can run. Isolated and without site-packages, so that nothing that lies about
# on the machine comes between a root shell and the libraries carried here; by -c, because Python takes longer to run a zip by its name.
for python in /usr/bin/python3 /usr/local/bin/python3; do
    if [ -x "$python" ]; then
        exec "$python" -IS -c 'import sys; del sys.argv[0]; sys.path.insert(0, sys.argv[0]); import zipapp_door' "$0" "$@"
    fi
done
echo "eniagent: needs CPython 3.9 to 3.13; there is no python3 in /usr/bin or /usr/local/bin" >&2
exit 1
