# shellcheck shell=bash disable=SC2034
# What all commands of the test cluster share: names, addresses, the lock, and the ways into a host.

set -euo pipefail

# The caller's environment must not choose other tools (pyenv) or change their output.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8
cd /

CLUSTER_SCRIPTS=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
STATE=$(realpath -m -- "${TOWLINE_CLUSTER_DIR:-/var/tmp/towline-cluster}")
CONF=$CLUSTER_SCRIPTS/conf

NODES=(c1 c2 c3)
HOSTS=(ctl login "${NODES[@]}")
USERS=(alice bob)
declare -A UID_OF=([alice]=2001 [bob]=2002)
declare -A ADDR_OF=([ctl]=10.77.2.1 [login]=10.77.2.2 [c1]=10.77.2.11 [c2]=10.77.2.12 [c3]=10.77.2.13)

INSIDE_NET=10.77.2.0/24
OUTSIDE_NET=10.77.1.0/24
OUTSIDE_ADDR=10.77.1.1
LOGIN_ADDR=10.77.1.2
# The only network device in this machine's own namespace, and the two ends of the delay relay.
OUTSIDE_DEV=towline0
DELAY_DEV=towline1

HOME_SIZE=3g
HOME_INODES=400k

say() { printf '%s\n' "$*" >&2; }
warn() { say "warning: $*"; }
die() {
    say "${0##*/}: $*"
    exit 1
}

need_root() {
    [[ $EUID -eq 0 ]] || die "must run as root (it makes namespaces and mounts)"
}

# The lock is the state directory itself, so that no lock file has to outlive or to be removed by `down`.
take_lock() {
    while :; do
        install -d -m 0755 -- "$STATE"
        exec 9<"$STATE"
        if ! flock -n 9; then
            say "waiting for another command that changes this cluster ..."
            flock -w 600 9 || die "still locked after 10 minutes"
        fi
        [[ $STATE -ef /proc/$$/fd/9 ]] && return
        exec 9<&-
    done
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when the time is over.
wait_for() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) pause=5
    shift
    until "$@"; do
        ((${EPOCHREALTIME/[.,]/} < end)) || return 1
        sleep "$(printf '0.%02d' "$pause")"
        pause=$((pause < 40 ? pause + 2 : 40))
    done
}

start_time_of() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The command's name may hold blanks and parentheses; the fields are counted behind it.
    read -r -a stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && printf '%s' "${stat[19]}"
}

# pid_of NAME: the first process of the rack or of a host, as this machine counts. A pid file that
# outlived its process (crash, reboot) is told by the start time, so that no stranger is ever taken for ours.
pid_of() {
    local pid start
    { read -r pid start <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
    [[ -n $start && $(start_time_of "$pid") == "$start" ]] && printf '%s' "$pid"
}

is_up() { pid_of "$1" >/dev/null; }

# Nothing started below may keep the lock, or the caller's terminal and pipes.
in_namespaces() {
    local pid
    pid=$(pid_of "$1") || { say "host $1 is down"; return 1; }
    shift
    nsenter -t "$pid" -m -u -i -n -p -- "$@" 9>&-
}

# enter HOST COMMAND...: as root inside the host, with an environment of its own.
enter() {
    local host=$1
    shift
    in_namespaces "$host" /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 HOME=/root "$@"
}

# enter_quietly HOST LOG COMMAND...: for daemons; what they say goes to a log of the host.
enter_quietly() {
    local host=$1 log=$2
    shift 2
    enter "$host" "$@" </dev/null >>"$(log_dir "$host")/$log" 2>&1
}

log_dir() { printf '%s' "$STATE/hosts/$1/log"; }

fault_in_force() { [[ -e $STATE/faults/$1 ]]; }
