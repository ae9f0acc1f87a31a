# shellcheck shell=bash disable=SC2034
# The faults: each has a start and a stop, both of which may be repeated. What is in force is a file in
# STATE/faults, named after the fault (and its node), holding its argument.

# name | argument | what it does
FAULTS=(
    "accounting||slurmdbd is stopped"
    "accounting-none||a cluster that keeps no accounting: slurmctld runs, and sacct is refused"
    "controller||slurmctld is stopped"
    "node|N|power cut of cN; stop boots it again"
    "node-link|N|cN is cut off the cluster's network while it runs on"
    "login-sshd||the login host's sshd is stopped, listener and sessions: connections are refused"
    "login-sessions||kills the sshd sessions of the login host now; nothing stays in force"
    "login-link||all packets to and from the login host are dropped: connections hang"
    "login-reboot||no sshd on the login host, and no packet to or from it, as while it boots"
    "login-delay|MS|adds a round trip of MS milliseconds to the link of the login host"
    "login-shell|noise|the start-up files of alice print on standard output and standard error"
    "home-full||alice's home has no byte and no inode left"
    "forwarding||the login host's sshd refuses TCP forwarding in new sessions"
)

SLURM_CONF=$STATE/etc/slurm/slurm.conf

fault_key() { printf '%s' "$1${2:+-$2}"; }

node_name() {
    [[ -n ${ADDR_OF[c${1#c}]-} ]] || die "no node $1 (nodes: ${NODES[*]})"
    printf 'c%s' "${1#c}"
}

fault_accounting_start() { stop_service ctl slurmdbd; }
fault_accounting_stop() { start_service ctl slurmdbd; }

# As at a site that never had any: all hosts read that configuration, and slurmctld starts anew with it.
fault_accounting_none_start() {
    fault_accounting_none_stop
    cp -- "$SLURM_CONF" "$SLURM_CONF.kept"
    sed -i '/^AccountingStorage/d' "$SLURM_CONF"
    restart_controller
}
fault_accounting_none_stop() {
    [[ -e $SLURM_CONF.kept ]] || return 0
    mv -- "$SLURM_CONF.kept" "$SLURM_CONF"
    restart_controller
}
restart_controller() {
    if fault_in_force controller; then return; fi
    stop_service ctl slurmctld
    fault_controller_stop
}

fault_controller_start() { stop_service ctl slurmctld; }
fault_controller_stop() {
    local node
    start_service ctl slurmctld
    for node in "${NODES[@]}"; do
        fault_in_force "node-$node" || wait_for_node "$node"
    done
}

fault_node_start() { power_off "$1"; }
fault_node_stop() {
    is_booted "$1" || boot_host "$1"
    if fault_in_force "node-link-$1"; then fault_node_link_start "$1"; fi
    start_service "$1" sshd
    start_service "$1" slurmd
    wait_for_node "$1"
}

fault_node_link_start() {
    if is_up "$1"; then on_switch ip link set "$1" down; fi
}
fault_node_link_stop() {
    is_up "$1" || return 0
    on_switch ip link set "$1" up
    wait_for_node "$1"
}

# A node which was declared down is looked at again only after half a minute, unless it is resumed.
wait_for_node() {
    service_runs ctl slurmctld && ! fault_in_force "node-link-$1" || return 0
    if wait_for 3 node_ready "$1"; then return; fi
    if node_states | grep -q "^$1 down"; then enter ctl scontrol update nodename="$1" state=resume; fi
    wait_for 60 node_ready "$1" || warn "slurmctld does not yet take $1 back"
}

node_ready() { node_states | grep -qE "^$1 (idle|mixed|allocated|completing)\$"; }

fault_login_sshd_start() {
    stop_service login sshd
    fault_login_sessions_start
}
fault_login_sshd_stop() { start_service login sshd; }

# Inside the login host every sshd but the listener is a session of ours.
fault_login_sessions_start() {
    # shellcheck disable=SC2016 # expanded inside the host
    enter login /bin/sh -c '
        listener=$(cat /run/sshd.pid 2>/dev/null)
        for dir in /proc/[0-9]*; do
            [ "$(cat "$dir/comm" 2>/dev/null)" = sshd ] || continue
            [ "${dir#/proc/}" = "$listener" ] || kill -KILL "${dir#/proc/}" 2>/dev/null
        done
        true'
}
fault_login_sessions_stop() { :; }

on_login_net() { nsenter -t "$(pid_of login)" -n -- "$@"; }

fault_login_link_start() {
    fault_login_link_stop
    on_login_net nft -f "$CONF/cut.nft"
}
fault_login_link_stop() { on_login_net nft delete table inet towline_cut 2>/dev/null || true; }

# The link goes first: what is killed in a machine that loses its power takes no leave.
fault_login_reboot_start() {
    fault_login_link_start
    fault_login_sshd_start
}
fault_login_reboot_stop() {
    fault_in_force login-sshd || fault_login_sshd_stop
    fault_in_force login-link || fault_login_link_stop
}

# The kernel may lack netem, so the packets take a detour through a program. It lives in the rack's PID
# namespace and its devices live as long as it, so that nothing of it can outlast the cluster.
fault_login_delay_start() {
    [[ $1 =~ ^[0-9]{1,5}$ ]] || die "login-delay needs whole milliseconds"
    fault_login_delay_stop
    setsid nsenter -t "$(pid_of rack)" -p -- /usr/bin/python3 "$CLUSTER_SCRIPTS/delay-relay" "$1" "$DELAY_DEV" \
        "/proc/$(pid_of login)/ns/net" "$STATE/run/delay.pid" </dev/null >>"$STATE/run/delay.log" 2>&1 9>&- &
    wait_for 10 is_up delay || die "the relay does not start, see $STATE/run/delay.log"
    ip link set "$DELAY_DEV" txqueuelen 10000 up
    on_login_net ip link set "$DELAY_DEV" txqueuelen 10000 up
    on_login_net ip route replace "$OUTSIDE_ADDR/32" dev "$DELAY_DEV" src "$LOGIN_ADDR"
    ip route replace "$LOGIN_ADDR/32" dev "$DELAY_DEV" src "$OUTSIDE_ADDR"
}
fault_login_delay_stop() {
    local pid
    if pid=$(pid_of delay); then kill -TERM "$pid" 2>/dev/null || true; fi
    wait_for 5 host_is_gone delay || die "the relay does not end"
    rm -f -- "$STATE/run/delay.pid"
}

fault_login_shell_start() {
    cat >"$STATE/etc/towline-noise" <<'END'
if [ "$(id -un)" = alice ]; then
    echo "*** Welcome to the cluster! Maintenance on Monday. ***"
    echo "module: command not found" >&2
fi
END
}
fault_login_shell_stop() { rm -f -- "$STATE/etc/towline-noise"; }

in_rack_mounts() { nsenter -t "$(pid_of rack)" -m -- "$@"; }

# Shrinks the file system to what is used, which takes no memory; repeated, as a job may write meanwhile.
fault_home_full_start() { wait_for 5 shrink_home || die "alice's home cannot be made full"; }
shrink_home() {
    local home=$STATE/home/alice size blocks free inodes free_inodes
    read -r size blocks free inodes free_inodes < <(in_rack_mounts stat -f -c '%S %b %f %c %d' "$home")
    in_rack_mounts mount -o "remount,size=$((size * (blocks - free))),nr_inodes=$((inodes - free_inodes))" "$home" 2>/dev/null
}
fault_home_full_stop() {
    in_rack_mounts mount -o "remount,size=$HOME_SIZE,nr_inodes=$HOME_INODES" "$STATE/home/alice"
}

fault_forwarding_start() { restart_login_listener; }
fault_forwarding_stop() { restart_login_listener; }

restart_login_listener() {
    if fault_in_force login-sshd; then return; fi
    stop_service login sshd
    start_service login sshd
}

# run_fault NAME ARGUMENT start|stop. The file is written first and removed first: sshd's start reads it.
run_fault() {
    local name=$1 argument=$2 verb=$3 key
    case $name in
    node | node-link) key=$(fault_key "$name" "$argument") ;;
    *) key=$name ;;
    esac
    if [[ $verb == start && $name != login-sessions ]]; then
        echo "$argument" >"$STATE/faults/$key"
    else
        rm -f -- "$STATE/faults/$key"
    fi
    "fault_${name//-/_}_$verb" "$argument"
}

# "accounting", "node-link c2", "login-delay 50", ... one a line
faults_in_force() {
    local file name
    for file in "$STATE"/faults/*; do
        [[ -e $file ]] || continue
        name=${file##*/}
        name=${name%-c[0-9]}
        echo "$name $(cat "$file")"
    done
}

clear_faults() {
    local name argument
    if ! is_up rack; then rm -f -- "$STATE"/faults/*; fi
    while read -r name argument; do
        (run_fault "$name" "$argument" stop) || warn "fault $name $argument could not be stopped cleanly"
    done < <(faults_in_force)
}
