#!/bin/sh
set -e

# What the setup's step for the service does as well (plugins/step-service).
prepare() {
    if ! getent group skep >/dev/null; then
        groupadd --system skep
    fi
    if ! getent passwd skep >/dev/null; then
        useradd --system --gid skep --home-dir /var/lib/skep --no-create-home \
            --shell /usr/sbin/nologin --comment "skep node of a private AI cluster" skep
    fi
    # Who may open the nodes of cards.
    for group in video render; do
        if getent group "$group" >/dev/null; then
            usermod -a -G "$group" skep
        fi
    done
    if [ ! -d /etc/skep ]; then
        install -d -o root -g skep -m 0770 /etc/skep
    fi
}

start() {
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper unmask skep.service >/dev/null || true
        if deb-systemd-helper --quiet was-enabled skep.service; then
            deb-systemd-helper enable skep.service >/dev/null || true
        else
            deb-systemd-helper update-state skep.service >/dev/null || true
        fi
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n "$1" ]; then
            deb-systemd-invoke restart skep.service >/dev/null || true
        else
            deb-systemd-invoke start skep.service >/dev/null || true
        fi
    fi
}

case "$1" in
configure | abort-upgrade | abort-deconfigure | abort-remove)
    prepare
    start "$2"
    ;;
esac
