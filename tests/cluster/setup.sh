# shellcheck shell=bash
# Files the hosts live on: their own /etc, the keys, the homes, and what the tests need to come in.

make_etc() {
    local etc=$STATE/etc
    rm -rf -- "$etc"
    cp -a /etc "$etc"
    # What this machine's owner set up for themselves is not a cluster's.
    rm -rf -- "${etc:?}"/{slurm,munge,ssh,profile.d,environment,pip.conf,cron*}
    mkdir -m 0755 "$etc"/{slurm,munge,ssh,profile.d}
    add_accounts "$etc"
    name_hosts >"$etc/hosts"
    make_slurm_etc "$etc/slurm"
    cp "$CONF/sshd_config" "$etc/ssh/sshd_config"
    make_host_keys "$etc/ssh"
    dd if=/dev/urandom of="$etc/munge/munge.key" bs=128 count=1 status=none
    chown -R munge: "$etc/munge"
    chmod 0400 "$etc/munge/munge.key"
}

# No password of this machine goes with its /etc. It is "*": with "!" an account counts as locked, and sshd without PAM refuses it.
add_accounts() {
    local etc=$1 user
    sed -i 's/^\([^:]*\):[^:]*:/\1:*:/' "$etc/shadow"
    for user in "${USERS[@]}"; do
        if grep -q "^$user:" "$etc/passwd"; then
            sed -i "/^$user:/d" "$etc"/{passwd,shadow,group,gshadow}
        fi
        echo "$user:x:${UID_OF[$user]}:${UID_OF[$user]}::/home/$user:/bin/bash" >>"$etc/passwd"
        echo "$user:x:${UID_OF[$user]}:" >>"$etc/group"
        echo "$user:*:19000:0:99999:7:::" >>"$etc/shadow"
    done
}

name_hosts() {
    local host
    echo "127.0.0.1 localhost"
    for host in "${HOSTS[@]}"; do echo "${ADDR_OF[$host]} $host"; done
}

make_slurm_etc() {
    local dir=$1 task=task/none
    if grep -q '^cgroup [^ ]* cgroup [^ ]*\bmemory\b' /proc/mounts; then
        task=task/cgroup
    else
        warn "no cgroup v1 memory controller: jobs over their memory are not ended as OUT_OF_MEMORY"
    fi
    sed "s|@TASK_PLUGIN@|$task|" "$CONF/slurm.conf" >"$dir/slurm.conf"
    cp "$CONF/gres.conf" "$CONF/cgroup.conf" "$dir"
    install -m 0600 -o slurm -g slurm "$CONF/slurmdbd.conf" "$dir/slurmdbd.conf"
}

new_key() { ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1" </dev/null; }

make_host_keys() {
    local dir=$1 host
    mkdir -m 0755 "$dir/host_keys"
    for host in login "${NODES[@]}"; do
        new_key "$dir/host_keys/$host" "$host"
        echo "$host,${ADDR_OF[$host]} $(cut -d' ' -f1,2 "$dir/host_keys/$host.pub")"
    done >"$dir/ssh_known_hosts"
}

# What a user of the cluster has on their own machine.
make_laptop_side() {
    local user
    for user in "${USERS[@]}"; do
        rm -f -- "$STATE/${user}_key" "$STATE/${user}_key.pub"
        new_key "$STATE/${user}_key" "$user@laptop"
    done
    echo "$LOGIN_ADDR $(cut -d' ' -f1,2 "$STATE/etc/ssh/host_keys/login.pub")" >"$STATE/known_hosts"
    { ssh_block login alice && ssh_block login-bob bob; } >"$STATE/ssh_config"
    cat >"$STATE/cluster.env" <<END
STATE=$STATE
SSH_CONFIG=$STATE/ssh_config
KNOWN_HOSTS=$STATE/known_hosts
ALICE_KEY=$STATE/alice_key
BOB_KEY=$STATE/bob_key
LOGIN_ADDR=$LOGIN_ADDR
LOGIN_PORT=22
LOGIN_SSHD_LOG=$(log_dir login)/sshd.log
NODES="${NODES[*]}"
C1_ADDR=${ADDR_OF[c1]}
C2_ADDR=${ADDR_OF[c2]}
C3_ADDR=${ADDR_OF[c3]}
CTL_ADDR=${ADDR_OF[ctl]}
LOGIN_INSIDE_ADDR=${ADDR_OF[login]}
END
}

ssh_block() {
    cat <<END
Host $1
    HostName $LOGIN_ADDR
    User $2
    IdentityFile $STATE/$2_key
    IdentitiesOnly yes
    UserKnownHostsFile $STATE/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes

END
}

# The homes are mounted in the rack only, hence the detour through its mount namespace.
make_home() {
    local user=$1 home=$STATE/home/$1
    # shellcheck disable=SC2016 # expanded in there
    nsenter -t "$(pid_of rack)" -m -- /bin/bash -euc '
        user=$1 home=$2 key=$3
        mkdir -p -m 0700 "$home/.ssh"
        [[ -e $home/.ssh/id_ed25519 ]] || ssh-keygen -q -t ed25519 -N "" -C "$user@cluster" -f "$home/.ssh/id_ed25519"
        cat "$key" "$home/.ssh/id_ed25519.pub" >"$home/.ssh/authorized_keys"
        for file in .profile .bashrc .bash_logout; do cp "/etc/skel/$file" "$home/$file"; done
        # Printed only while the fault login-shell is in force.
        sed -i "1i [ ! -r /etc/towline-noise ] || . /etc/towline-noise" "$home/.bashrc"
        chown -R "$4:$4" "$home"
    ' make_home "$user" "$home" "$STATE/${user}_key.pub" "${UID_OF[$user]}" 9>&-
}
