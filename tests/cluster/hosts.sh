# shellcheck shell=bash
# Hosts and their network: boot, cable, power cut.

RACK_MARK="TOWLINE_CLUSTER_RACK=$STATE"

# spawn_init NAME COMMAND...: runs the command (which ends in a new PID namespace) in the background, in a
# session of its own, marked for `down`, which finds by the mark what a killed `up` did not record.
spawn_init() {
    local name=$1
    shift
    rm -f -- "$STATE/run/$name.pid" "$STATE/run/$name.ready"
    env -i "$RACK_MARK" HOME_SIZE="$HOME_SIZE" HOME_INODES="$HOME_INODES" PATH="$PATH" setsid "$@" \
        /bin/bash "$CLUSTER_SCRIPTS/init" "$STATE" "$name" \
        </dev/null >>"$STATE/run/$name.log" 2>&1 9>&- &
    if wait_for 10 grep -qs ready "$STATE/run/$name.ready" && is_up "$name"; then return; fi
    die "$name does not come up, see $STATE/run/$name.log"
}

start_rack() {
    is_up rack && return
    spawn_init rack unshare --mount --net --pid --fork --
}

boot_host() {
    local host=$1 own=$STATE/hosts/$1
    install -d -m 0755 "$own" "$own/log" "$own/spool"
    echo "$host" >"$own/hostname"
    remove_cgroups "$host" || true
    spawn_init "$host" nsenter -t "$(pid_of rack)" -m -p -- \
        unshare --mount --uts --ipc --net --pid --fork --
    cable "$host"
    cp -- "$STATE/run/$host.pid" "$STATE/run/$host.cabled"
}

# A host that was killed half-way through its boot has no complete network.
is_booted() { is_up "$1" && cmp -s "$STATE/run/$1.pid" "$STATE/run/$1.cabled"; }

on_switch() { nsenter -t "$(pid_of rack)" -n -- "$@"; }

cable() {
    local host=$1 pid
    pid=$(pid_of "$host")
    on_switch ip link delete "$host" 2>/dev/null || true
    on_switch ip link add "$host" type veth peer name eth0 netns "$pid"
    on_switch ip link set "$host" master br0 up
    nsenter -t "$pid" -n -- ip -batch - <<END
address add ${ADDR_OF[$host]}/24 dev eth0
link set eth0 up
END
    if [[ $host == login ]]; then cable_outside "$pid"; fi
}

# The one way in: a link to the login host. Its filter lets nothing but sshd be reached over it, and the
# unreachable route keeps packets for the inside from wandering to this machine's default gateway.
cable_outside() {
    local pid=$1
    ip link delete "$OUTSIDE_DEV" 2>/dev/null || true
    ip link add "$OUTSIDE_DEV" type veth peer name ext0 netns "$pid"
    ip link set "$OUTSIDE_DEV" alias "$STATE"
    ip address add "$OUTSIDE_ADDR/24" dev "$OUTSIDE_DEV"
    ip link set "$OUTSIDE_DEV" up
    ip route replace unreachable "$INSIDE_NET"
    nsenter -t "$pid" -n -- ip address add "$LOGIN_ADDR/24" dev ext0
    nsenter -t "$pid" -n -- ip link set ext0 up
    nsenter -t "$pid" -n -- nft -f "$CONF/login.nft" ||
        die "nftables does not work on this kernel; it keeps the login host's other ports closed"
}

# Silence first, so that no connection is closed politely, as none is when the power fails.
power_off() {
    local host=$1 pid
    pid=$(pid_of "$host") || return 0
    on_switch ip link set "$host" down 2>/dev/null || true
    kill -KILL "$pid"
    wait_for 10 host_is_gone "$host" || die "$host does not go down"
    rm -f -- "$STATE/run/$host.pid"
    on_switch ip link delete "$host" 2>/dev/null || true
}

host_is_gone() { ! is_up "$1"; }

# Debian's slurmd names its control groups after the node.
remove_cgroups() {
    local dir
    for dir in /sys/fs/cgroup/*/"slurm_$1"; do
        if [[ -d $dir ]]; then find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || return 1; fi
    done
}

marked_processes() {
    grep -lzxsF -- "$RACK_MARK" /proc/[0-9]*/environ | cut -d/ -f3 || true
}

nothing_marked() { [[ -z $(marked_processes) ]]; }

kill_marked() {
    local pid
    for pid in $(marked_processes); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    nothing_marked
}

# Everything but the processes of this cluster's commands lives in the rack's PID namespace.
stop_rack() {
    local pid
    if pid=$(pid_of rack); then kill -KILL "$pid"; fi
    wait_for 10 kill_marked || die "processes of the cluster do not end: $(marked_processes)"
}

# The alias tells whose device it is; one without was left by an `up` that was killed just then.
is_our_network() {
    local alias
    alias=$(cat "/sys/class/net/$OUTSIDE_DEV/ifalias" 2>/dev/null) || return 0
    [[ $alias == "$STATE" || (-z $alias && -d $STATE/run) ]]
}

remove_network() {
    is_our_network || return 0
    ip link delete "$OUTSIDE_DEV" 2>/dev/null || true
    ip link delete "$DELAY_DEV" 2>/dev/null || true
    ip route delete unreachable "$INSIDE_NET" 2>/dev/null || true
}
