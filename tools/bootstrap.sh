#!/bin/sh
# Find a Python that fits and hand over to bootstrap.py, which does the work.
here=$(dirname "$0")
for python in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
    if "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
        exec "$python" "$here/bootstrap.py" "$@"
    fi
done
echo "mmleuk needs Python 3.10, 3.11 or 3.12, and found none (tried: ${PYTHON:-python3 python3.12 python3.11 python3.10})." >&2
echo "  On Debian or Ubuntu, everything at once:" >&2
echo "    apt-get install -y python3 python3-venv python3-dev g++ make libgl1 libglib2.0-0" >&2
echo "  (as root or with sudo). A Python that lies elsewhere: PYTHON=/path/to/python3.12 make env" >&2
exit 1
