# shellcheck shell=bash disable=SC2034
# Debian packages: what is missing is named, installed without starting any service, and stays.

PACKAGES=(slurmctld slurmd slurmdbd slurm-client munge mariadb-server-core openssh-server openssh-client
    iproute2 nftables python3 procps tcsh fish)

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# written by Towline's test cluster while it installs packages"

missing_packages() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

# Without this, Debian's packages would start a slurmctld, a munged and an sshd on this machine itself.
forbid_services() {
    restore_policy
    if [[ -e $POLICY ]]; then mv -- "$POLICY" "$STATE/policy-rc.d.saved"; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 0755 "$POLICY"
}

# Also called by `down`, as `up` may have been killed in between.
restore_policy() {
    if grep -qsF -- "$POLICY_MARK" "$POLICY"; then rm -f -- "$POLICY"; fi
    if [[ -e $STATE/policy-rc.d.saved ]]; then mv -- "$STATE/policy-rc.d.saved" "$POLICY"; fi
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    say "installing Debian packages (they stay after \`down\`): ${missing[*]}"
    install -d -m 0755 "$STATE/cache" "$STATE/cache/apt" "$STATE/cache/apt/partial"
    forbid_services
    trap restore_policy EXIT
    apt_get_install "${missing[@]}" || { make_apt_ready && apt_get_install "${missing[@]}"; } ||
        { tail -n 20 "$STATE/apt.log" >&2 && die "apt-get could not install: ${missing[*]}"; }
    restore_policy
    trap - EXIT
}

# The package lists may be old or absent, and an installation may have been killed half-way.
make_apt_ready() {
    {
        DEBIAN_FRONTEND=noninteractive dpkg --configure -a
        apt-get update -q
    } </dev/null >>"$STATE/apt.log" 2>&1
}

# In a session of its own: an interrupt of `up` must not leave packages half installed. Until it ends, it
# holds the cluster's lock, so that even the `down` after a killed `up` waits for it.
apt_get_install() {
    DEBIAN_FRONTEND=noninteractive setsid --wait apt-get install -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dir::Cache::archives="$STATE/cache/apt" \
        -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$STATE/apt.log" 2>&1
}

# A process in our own PID namespace was not started by the cluster, whose processes all live in another.
refuse_foreign_slurm() {
    local dir name
    for dir in /proc/[0-9]*; do
        name=$(cat "$dir/comm" 2>/dev/null) || continue
        case $name in slurmctld | slurmd | slurmdbd | munged) ;; *) continue ;; esac
        [[ $(readlink "$dir/ns/pid") == "$(readlink /proc/self/ns/pid)" ]] || continue
        die "this machine already runs a $name of its own (pid ${dir#/proc/}); not touching it"
    done
    if [[ -e /etc/slurm/slurm.conf ]]; then
        die "this machine has an /etc/slurm/slurm.conf of its own; not touching it"
    fi
}

refuse_taken_network() {
    is_up rack && return
    local net taken
    for net in "$OUTSIDE_NET" "$INSIDE_NET"; do
        taken=$(ip route show root "$net" | grep -v "dev $OUTSIDE_DEV " | grep -v '^unreachable' || true)
        [[ -z $taken ]] || die "this machine already uses $net: $taken"
    done
    is_our_network || die "a test cluster with the state directory \
$(cat "/sys/class/net/$OUTSIDE_DEV/ifalias") is up on this machine; there can be only one"
}
