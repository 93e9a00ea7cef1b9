#!/bin/sh
set -e

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi

if [ "$1" = purge ]; then
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper purge skep.service >/dev/null || true
        deb-systemd-helper unmask skep.service >/dev/null || true
    fi
    # Models, state and settings: what `apt-get remove` alone keeps.
    rm -rf /etc/skep /etc/systemd/system/skep.service.d /var/cache/skep /var/lib/skep
    if getent passwd skep >/dev/null; then
        userdel skep >/dev/null || true
    fi
    if getent group skep >/dev/null; then
        groupdel skep >/dev/null || true
    fi
fi
