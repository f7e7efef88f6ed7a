#!/bin/sh
# Installs Tidegauge as a service, or brings an installed one to this version. State and configuration stay as they are.
#
#   deploy/install.sh [--from WHEEL] [--wheels DIR] [--torch-index URL] [--python PYTHON] [--no-service]
#
#   --from WHEEL       install this wheel instead of the checkout that this script is in
#   --wheels DIR       use no network: everything needed lies in DIR (pip download -c constraints.txt -d DIR WHEEL)
#   --torch-index URL  where PyTorch comes from; without a GPU: https://download.pytorch.org/whl/cpu
#   --python PYTHON    default /usr/bin/python3; the service cannot read one in a home directory
#   --no-service       only the environment: no unit, no configuration, nothing is started
#
# It needs root and may be run any number of times. What goes where is in docs/operations.md.
set -eu
umask 022

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
checkout=$(dirname -- "$here")
prefix=/opt/tidegauge
config=/etc/tidegauge/tidegauge.yaml
unit=/etc/systemd/system/tidegauge.service
command=/usr/local/bin/tidegauge
wheel= wheels= torch_index=${TORCH_INDEX:-} python=/usr/bin/python3 service=yes

say() { printf 'install.sh: %s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --from | --wheels | --torch-index | --python) [ $# -gt 1 ] || fail "$1 needs a value" ;;
    esac
    case $1 in
        --from) wheel=$2; shift ;;
        --wheels) wheels=$2; shift ;;
        --torch-index) torch_index=$2; shift ;;
        --python) python=$2; shift ;;
        --no-service) service= ;;
        *) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done

[ "$(id -u)" -eq 0 ] || fail "it writes to $prefix and /etc; run it as root"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
    fail "$python is no Python of 3.11 to 3.13; install one (Debian: apt install python3 python3-venv) or name one with --python"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make environments; apt install python3-venv"
[ -z "$wheel" ] || [ -f "$wheel" ] || fail "$wheel: there is no such wheel"

# a Python that was upgraded underneath needs a new environment
wanted=$("$python" -c 'import sys; print(sys.version_info[:2])')
found=$("$prefix/bin/python" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null || true)
if [ "$found" != "$wanted" ]; then
    say "making an environment in $prefix"
    "$python" -m venv --clear "$prefix"
fi

pip() { PYTHONNOUSERSITE=1 "$prefix/bin/python" -m pip --disable-pip-version-check "$@"; }
set --
[ -z "$wheels" ] || set -- --no-index --find-links "$wheels"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -z "$wheel" ]; then
    say "building the wheel of $checkout"
    mkdir "$scratch/source"
    (cd "$checkout" && cp -R pyproject.toml README.md LICENSE daemon models adapters "$scratch/source")
    pip wheel -q "$@" --no-deps -w "$scratch" "$scratch/source"
    wheel=$(echo "$scratch"/tidegauge-*.whl)
fi
say "installing $(basename "$wheel")"
if [ -n "$torch_index" ] && [ -z "$wheels" ]; then
    pip install -q -c "$checkout/constraints.txt" --no-deps --index-url "$torch_index" torch
fi
pip install -q "$@" -c "$checkout/constraints.txt" "$wheel"
pip install -q "$@" --no-deps --force-reinstall "$wheel" # the same version may have other content
mkdir -p "$prefix/share/doc"
cp "$checkout"/docs/*.md "$prefix/share/doc"
"$prefix/bin/tidegauge" --version
[ -n "$service" ] || exit 0

ln -sfn "$prefix/bin/tidegauge" "$command"
if [ ! -e "$config" ]; then
    mkdir -p /etc/tidegauge /var/spool/tidegauge
    "$prefix/bin/tidegauge" init "$config" --state-dir /var/lib/tidegauge --readings '/var/spool/tidegauge/*.csv'
fi
install -m 644 "$here/systemd/tidegauge.service" "$unit"
"$prefix/bin/tidegauge" check --config "$config" >/dev/null ||
    fail "this version cannot use $config (above); correct it, then: systemctl restart tidegauge"
if [ ! -d /run/systemd/system ]; then
    say "systemd does not run here; the unit is $unit"
    exit 0
fi
systemctl daemon-reload
systemctl enable -q tidegauge
systemctl restart tidegauge
systemctl --no-pager -n 0 status tidegauge || true
say "done: edit $config, then systemctl reload tidegauge"
