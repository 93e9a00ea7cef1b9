#!/bin/sh
set -e

# An upgrade restarts it once the new one is there.
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop skep.service >/dev/null || true
fi
