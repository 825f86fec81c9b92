#!/bin/sh
# Installs the servers that the tests start, where they are missing and we may: databases, and the
# directory that one of them asks for passwords.
#
# Only server programs are needed: the tests run them as private processes on loopback. No service
# of the system is started by the installation. Does nothing where all are present; says what is
# missing where we may not install, and succeeds all the same: the tests then skip by name.

set -eu

PATH="$PATH:/usr/sbin:/sbin"

missing=""
if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    missing="$missing postgresql"
fi
if ! command -v mariadbd >/dev/null; then
    missing="$missing mariadb-server-core"
fi
if ! command -v slapd >/dev/null; then
    missing="$missing slapd"
fi
if ! command -v firebird >/dev/null; then
    missing="$missing firebird3.0-server"
fi
if [ -z "$missing" ]; then
    exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed:$missing; tests that need them are skipped" >&2
    echo "install them as root with the package manager of this system, then run again" >&2
    exit 0
fi

# Debian's packages ask this script whether they may start a service; 101 means no (policy-rc.d).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$@"
}

echo "installing$missing" >&2
if ! apt-get update --quiet; then
    echo "no package lists can be had; tests that need$missing are skipped" >&2
    exit 0
fi
for package in $missing; do
    if [ "$package" = postgresql ]; then
        # Its installation makes a cluster, which would start with the machine, unless told not to.
        install postgresql-common
        sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf
    elif [ "$package" = slapd ]; then
        # Its installation makes a directory of the system, unless told not to.
        echo "slapd slapd/no_configuration boolean true" | debconf-set-selections
    fi
    install "$package"
    if [ "$package" = firebird3.0-server ]; then
        # The package has its service start with the machine.
        rm -f /etc/systemd/system/multi-user.target.wants/firebird3.0.service
    fi
done
