# shellcheck shell=bash
# The daemons: which run where, whether they run, start and stop. The inside of a host is asked by way of
# its own pid files, so that no process is ever found by its name alone.

services_of() {
    case $1 in
    ctl) echo munged mariadbd slurmdbd slurmctld ;;
    login) echo sshd ;;
    *) echo sshd slurmd ;;
    esac
}

pid_file_of() {
    case $1 in
    munged) echo /run/munge/munged.pid ;;
    mariadbd) echo /run/mysqld/mariadbd.pid ;;
    *) echo "/run/$1.pid" ;;
    esac
}

# Answers with the pid inside the host.
service_pid() {
    # shellcheck disable=SC2016 # expanded inside the host
    enter "$1" /bin/sh -c 'read -r pid <"$1" && [ "$(cat "/proc/$pid/comm")" = "$2" ] && echo "$pid"' \
        service_pid "$(pid_file_of "$2")" "$2" 2>/dev/null
}

service_runs() { is_up "$1" && service_pid "$1" "$2" >/dev/null; }
service_ended() { ! service_runs "$1" "$2"; }

start_service() {
    service_runs "$1" "$2" && return
    if "start_$2" "$1" && wait_for 15 service_runs "$1" "$2"; then return; fi
    die "$2 does not start on $1, see $(log_dir "$1")"
}

stop_service() {
    local pid
    pid=$(service_pid "$1" "$2") || return 0
    enter "$1" /bin/kill -TERM "$pid" || true
    wait_for 15 service_ended "$1" "$2" || enter "$1" /bin/kill -KILL "$pid" || true
    wait_for 5 service_ended "$1" "$2" || die "$2 does not stop on $1"
}

start_munged() {
    enter "$1" rm -f /run/munge/munge.socket.2 /run/munge/munge.socket.2.lock
    enter_quietly "$1" munged.out setpriv --reuid munge --regid munge --clear-groups \
        munged --key-file=/etc/munge/munge.key --log-file=/var/log/munge/munged.log \
        --seed-file=/var/log/munge/munged.seed --pid-file=/run/munge/munged.pid
}

# MariaDB runs as slurm: one user fewer, and the only client is known by the socket's peer.
mariadb_options() {
    echo --no-defaults --datadir=/var/spool/mariadb --user=slurm --socket=/run/mysqld/mysqld.sock \
        --pid-file=/run/mysqld/mariadbd.pid --skip-networking --innodb-buffer-pool-size=64M \
        --innodb-flush-log-at-trx-commit=0 --innodb-lock-wait-timeout=900
}

make_database() {
    local data=$STATE/hosts/ctl/spool/mariadb share=/usr/share/mysql options
    [[ -e $data/.complete ]] && return
    rm -rf -- "$data"
    install -d -m 0700 -o slurm -g slurm "$data"
    read -r -a options < <(mariadb_options)
    {
        printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' 'SET @auth_root_socket=NULL;'
        cat "$share"/mysql_{system_tables,performance_tables,system_tables_data}.sql "$CONF/database.sql"
    } | enter ctl mariadbd "${options[@]}" --bootstrap >>"$(log_dir ctl)/bootstrap.log" 2>&1 ||
        die "MariaDB cannot make its database, see $(log_dir ctl)/bootstrap.log"
    touch "$data/.complete"
}

start_mariadbd() {
    local options
    make_database
    read -r -a options < <(mariadb_options)
    enter "$1" setsid --fork /bin/sh -c 'exec "$@" >>/var/log/mariadbd.log 2>&1 </dev/null' sh \
        mariadbd "${options[@]}" </dev/null >/dev/null 2>&1
    wait_for 20 enter "$1" test -S /run/mysqld/mysqld.sock
}

start_slurmdbd() {
    enter_quietly "$1" slurmdbd.out slurmdbd
    wait_for 20 enter_quietly "$1" sacctmgr.out sacctmgr -n show cluster
}

start_slurmctld() {
    enter_quietly "$1" slurmctld.out slurmctld
    wait_for 20 controller_answers
}

controller_answers() { enter ctl timeout 5 scontrol ping 2>/dev/null | grep -q ' UP'; }

start_slurmd() { enter_quietly "$1" slurmd.out slurmd; }

# The fault "forwarding" is an option of the listener; sessions that are open keep what they were given.
start_sshd() {
    local options=()
    if [[ $1 == login ]] && fault_in_force forwarding; then options=(-o AllowTcpForwarding=no); fi
    enter_quietly "$1" sshd.out /usr/sbin/sshd -f /etc/ssh/sshd_config -h "/etc/ssh/host_keys/$1" \
        -E /var/log/sshd.log "${options[@]}"
}

make_accounts() {
    [[ -e $STATE/run/accounts ]] && return
    enter_quietly ctl sacctmgr.out /bin/sh -ec '
        sacctmgr -i add cluster towline || true
        sacctmgr -i add account research,bobonly cluster=towline || true
        sacctmgr -i add user alice,bob account=research defaultaccount=research || true
        sacctmgr -i add user bob account=bobonly || true
        sacctmgr -nP show assoc format=user,account | grep -x "bob|bobonly"
        sacctmgr -nP show assoc format=user,account | grep -x "alice|research"
    ' || die "the accounts cannot be made, see $(log_dir ctl)/sacctmgr.out"
    touch "$STATE/run/accounts"
}

# "idle", "mixed", ... or nothing when the controller does not answer.
node_states() { enter ctl timeout 10 sinfo -h -N -p cpu -o '%N %T' 2>/dev/null; }

nodes_ready() {
    local states
    states=$(node_states) || return 1
    [[ $(grep -cE ' (idle|mixed|allocated|completing)$' <<<"$states") -eq ${#NODES[@]} ]]
}

# As a stranger from this machine: through the link and its filter.
login_answers() {
    # shellcheck disable=SC2016 # expanded by the inner bash
    timeout 3 /bin/bash -c 'exec 3<>"/dev/tcp/$1/22" && read -r line <&3 && [[ $line == SSH-* ]]' \
        login_answers "$LOGIN_ADDR" 2>/dev/null
}
