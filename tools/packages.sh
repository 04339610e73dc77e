#!/bin/sh
# The Debian packages that `make demo` and `make test` need: tools/packages.sh venv|test
#
# Missing ones are installed by apt as root or through sudo; otherwise they are named and the exit status is 1.
# The real daemons that tests drive are wanted only where CI=true or UNITD_TEST_DAEMONS=1, because a package of a
# daemon also enables it; policy-rc.d keeps it from being started now (invoke-rc.d(8)).
set -eu

PYTHON=${PYTHON:-python3}
missing=

command_from() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
# A daemon counts as there when its unit file is: a client library or a sub-package may bring a program of that name.
unit_from() { test -e "/lib/systemd/system/$1" || test -e "/usr/lib/systemd/system/$1" || missing="$missing $2"; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "cannot go on: $PYTHON is not Python 3.11 or newer; name another one by PYTHON=" >&2
    exit 1
}

case ${1:-} in
venv)
    "$PYTHON" -c 'import ensurepip, venv; ensurepip.version()' 2>/dev/null || missing=" python3-venv"
    ;;
test)
    command_from dbus-daemon dbus-daemon
    command_from dbus-send dbus-bin
    command_from busctl systemd
    command_from gdbus libglib2.0-bin
    if [ "${CI:-}" = true ] || [ "${UNITD_TEST_DAEMONS:-}" = 1 ]; then
        unit_from nginx.service nginx-light
        unit_from mosquitto.service mosquitto
        unit_from cron.service cron
        unit_from dnsmasq.service dnsmasq
        unit_from snmpd.service snmpd
        unit_from ssh.service openssh-server
        unit_from postgresql@.service postgresql
        unit_from dbus.service dbus
    fi
    ;;
*)
    echo "usage: tools/packages.sh venv|test" >&2
    exit 2
    ;;
esac

[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
    else
        echo "cannot go on without these Debian packages:$missing" >&2
        echo "install them as root: apt-get install$missing" >&2
        exit 1
    fi
fi
command -v apt-get >/dev/null || {
    echo "cannot install without apt-get; these are Debian's names of what is missing:$missing" >&2
    exit 1
}

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
ours=
finish() {
    status=$?
    [ $status = 0 ] || cat "$log" >&2
    rm -f "$log"
    [ -z "$ours" ] || $as_root rm -f $policy
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi
echo "set-up: Debian packages by apt:$missing"
# apt checks signatures as a user of its own, who needs a place for temporary files; some machines keep /tmp for root.
scratch=/tmp
[ -n "$(find /tmp -maxdepth 0 -perm -1002)" ] || scratch=/var/tmp
apt() {
    $as_root env TMPDIR=$scratch DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" \
        </dev/null >>"$log" 2>&1
}
apt update
# shellcheck disable=SC2086 # a list of words
apt install --yes --no-install-recommends $missing
