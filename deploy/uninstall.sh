#!/bin/sh
# Removes the service and its environment. Configuration, state and readings stay, unless --purge is given.
#
#   deploy/uninstall.sh [--purge]      --purge removes /etc/tidegauge, the state and the cache, too
set -eu

[ "$(id -u)" -eq 0 ] || { echo "uninstall.sh: it removes files of root; run it as root" >&2; exit 1; }
case ${1:-} in
    '' | --purge) ;;
    *) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

if [ -d /run/systemd/system ]; then systemctl disable -q --now tidegauge 2>/dev/null || true; fi
rm -f /etc/systemd/system/tidegauge.service
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
[ "$(readlink /usr/local/bin/tidegauge 2>/dev/null)" != /opt/tidegauge/bin/tidegauge ] || rm /usr/local/bin/tidegauge
rm -rf /opt/tidegauge
if [ "${1:-}" = --purge ]; then
    rm -rf /etc/tidegauge /etc/systemd/system/tidegauge.service.d
    for base in lib cache; do rm -rf "/var/$base/tidegauge" "/var/$base/private/tidegauge"; done
    echo "uninstall.sh: removed, with configuration and state; readings in /var/spool/tidegauge were left"
else
    echo "uninstall.sh: removed; /etc/tidegauge and /var/lib/tidegauge were left"
fi
