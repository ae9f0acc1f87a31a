# --- How a service is run; the same text for every service (bash 4.2 or later, Linux) ---

# Runs a program where it was found before the service's own environment was set, and not as a part of the service.
towline_tool() { PATH=$towline_path TOWLINE_SERVICE='' command "$@"; }

towline_say() { printf 'towline: %s\n' "$*"; }

towline_fail() {
  towline_say "$*"
  towline_end 1
}

towline_setup_failed() {
  towline_say "line $1 of the set-up failed with exit code $2"
  towline_end "$2"
}

# Writes a file of the service's directory so that a reader sees all of it or nothing.
towline_write() {
  printf '%s\n' "$2" >"$towline_dir/$1.tmp" && towline_tool mv -f "$towline_dir/$1.tmp" "$towline_dir/$1"
}

# Writes a JSON record: its file, the name of its time, and further fields. No text in it needs an escape.
towline_record() {
  local now
  printf -v now '%(%s)T' -1
  towline_write "$1" "{\"job\":\"$towline_job\",\"restarts\":$towline_restarts,\"$2\":$now,$3}"
}

# Forgets an earlier run, takes over the environment of the service and goes to its directory.
towline_prepare() {
  towline_path=$PATH
  towline_job=${towline_job//[^A-Za-z0-9._-]/_}
  towline_host=${towline_host//[^A-Za-z0-9._:-]/_}
  towline_node=${HOSTNAME//[^A-Za-z0-9._-]/_}
  [[ $towline_restarts =~ ^(0|[1-9][0-9]{0,8})$ ]] || towline_restarts=0
  towline_server='' towline_launching='' towline_asked='' towline_stopping='' towline_ended='' towline_told=''
  towline_exposed=''
  SECONDS=0
  [[ -d $towline_dir ]] || { towline_say "there is no directory $towline_dir"; exit 1; }
  trap 'towline_end $?' EXIT
  trap towline_stop TERM INT
  towline_tool rm -f "$towline_dir"/{place,attempt,exit}.json "$towline_dir/stand-in"
  if ((towline_restarts > 0)); then
    printf '\ntowline: --- restart %s of job %s on %s ---\n' "$towline_restarts" "$towline_job" "$towline_node"
  fi
  . "$towline_dir/env" || towline_fail "cannot read $towline_dir/env"
  towline_keep_secret
  cd || towline_fail 'cannot change to the home directory'
  if [[ $towline_chdir ]]; then cd -- "$towline_chdir" || towline_fail "cannot change to $towline_chdir"; fi
  # Every process of the service inherits this mark and is recognised by it.
  export TOWLINE_SERVICE=$towline_service
  # Told before the set-up, which may hang: who asks at that place learns that nobody answers.
  towline_pick_port
  towline_port=$PORT
  export HOST=$towline_listen
  towline_attempt "$$"
}

# Puts the key of the service into a file for its server alone, if that reads it from one.
towline_keep_secret() {
  [[ ${towline_secret+set} ]] || return 0
  (umask 077 && towline_write secret "$towline_secret") || towline_fail "cannot write $towline_dir/secret"
  unset towline_secret
}

# Reads which TCP sockets exist on this host: all rows, and "ADDRESS PORT INODE" (hexadecimal but for the inode)
# of those that listen (state 0A; the fields are those of proc_net_tcp in Linux's documentation).
towline_sockets() {
  local file row
  local -a rows fields
  towline_rows='' towline_listening=()
  for file in /proc/net/tcp /proc/net/tcp6; do
    [[ -r $file ]] || continue
    mapfile -t rows <"$file"
    towline_rows+=${rows[*]}
    for row in "${rows[@]}"; do
      [[ $row == *' 0A '* ]] || continue
      read -ra fields <<<"$row"
      towline_listening+=("${fields[1]%:*} ${fields[1]#*:} ${fields[9]}")
    done
  done
}

# Chooses a port that no socket uses, below the range from which the kernel takes ports for connections.
towline_pick_port() {
  local tries hex
  towline_sockets
  for ((tries = 0; tries < 1000; tries++)); do
    PORT=$((20000 + RANDOM % 12000))
    printf -v hex '%04X' "$PORT"
    if [[ $towline_rows != *":$hex "* ]]; then
      export PORT
      return
    fi
  done
  towline_fail 'there is no free port between 20000 and 31999 on this host'
}

# Tells where the server is going to listen, and which process is at it.
towline_attempt() {
  towline_record attempt.json started_at "\"host\":\"$towline_host\",\"port\":$PORT,\"pid\":$1"
}

# Lists the processes that carry the mark of the service.
towline_marked() {
  local i
  mapfile -t towline_pids < <(towline_tool grep -lszxF "TOWLINE_SERVICE=$towline_service" /proc/[0-9]*/environ)
  for i in "${!towline_pids[@]}"; do
    towline_pids[i]=${towline_pids[i]//[^0-9]/}
  done
}

# Reads who stands in for the command, if it says so: the port that another program holds for it, as a proxy does, the
# process beside its own descendants that its server is, or descends from, and whether its server is still awaited behind
# that port. 0 is none.
towline_read_stand_in() {
  local port='' pid=''
  towline_awaited=''
  { read -r port pid towline_awaited <"$towline_dir/stand-in"; } 2>/dev/null
  towline_held=0 towline_root=0
  [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || towline_held=$port
  [[ ! $pid =~ ^[1-9][0-9]{0,9}$ ]] || towline_root=$pid
}

# Lists the processes of the service: those that carry its mark, the command, who stands in for it, and the descendants
# of these two.
towline_members() {
  local i list
  local -a children
  towline_marked
  i=${#towline_pids[@]}
  towline_pids+=("$towline_server")
  towline_read_stand_in
  ((towline_root == 0)) || towline_pids+=("$towline_root")
  for (( ; i < ${#towline_pids[@]}; i++)); do
    for list in /proc/"${towline_pids[i]}"/task/*/children; do
      children=()
      { read -ra children <"$list"; } 2>/dev/null
      towline_pids+=("${children[@]}")
    done
  done
}

# Maps the inode of each socket that a process of the service holds to that process.
towline_owned() {
  local line pid
  local -a dirs=("/proc/$$/fd")
  towline_members
  for pid in "${towline_pids[@]}"; do dirs+=("/proc/$pid/fd"); done
  towline_owner=()
  while IFS= read -r line; do
    if [[ $line =~ ^/proc/([0-9]+)/fd:$ ]]; then
      pid=${BASH_REMATCH[1]}
    elif [[ $line =~ ' -> socket:['([0-9]+)']'$ ]]; then
      towline_owner[${BASH_REMATCH[1]}]=$pid
    fi
  done < <(towline_tool ls -l "${dirs[@]}" 2>/dev/null)
}

# Sets towline_address to the address in one hexadecimal field and towline_rank to how far it reaches: 3 from
# everywhere, 2 by that address, 1 from this host only. Words of 32 bits, little-endian.
towline_reach() {
  local a=$1
  [[ $a == 0000000000000000FFFF0000???????? ]] && a=${a:24}
  case $a in
    00000000 | 00000000000000000000000000000000) towline_address='*' towline_rank=3 ;;
    00000000000000000000000001000000) towline_address='::1' towline_rank=1 ;;
    ????????)
      towline_address=$((16#${a:6:2})).$((16#${a:4:2})).$((16#${a:2:2})).$((16#${a:0:2})) towline_rank=2
      [[ $towline_address == 127.* ]] && towline_rank=1
      ;;
    *) towline_address='' towline_rank=2 ;;
  esac
}

# Looks who listens on $PORT. Sets towline_found to '' (nobody), stranger or own; with own also towline_pid,
# towline_address and towline_rank of the listener that reaches furthest.
towline_look() {
  local address port inode hex row best=0 best_address=''
  printf -v hex '%04X' "$PORT"
  towline_found=''
  towline_read_stand_in
  if ((towline_held == PORT)); then
    [[ ! $towline_awaited ]] || return 0
    towline_found=own towline_pid=$towline_server towline_address=127.0.0.1 towline_rank=1
    return 0
  fi
  towline_sockets
  [[ " ${towline_listening[*]} " == *" $hex "* ]] || return 0
  towline_owned
  for row in "${towline_listening[@]}"; do
    read -r address port inode <<<"$row"
    [[ $port == "$hex" ]] || continue
    if [[ ${towline_owner[inode]} ]]; then
      towline_found=own
      towline_reach "$address"
      ((towline_rank > best)) || continue
      best=$towline_rank best_address=$towline_address towline_pid=${towline_owner[inode]}
    elif [[ ! $towline_found ]]; then
      towline_found=stranger
    fi
  done
  towline_rank=$best towline_address=$best_address
}

# Says in the log, once, on which other ports the command listens.
towline_look_elsewhere() {
  local address port inode row ports=''
  [[ $towline_told ]] && return
  towline_sockets
  towline_owned
  for row in "${towline_listening[@]}"; do
    read -r address port inode <<<"$row"
    [[ ${towline_owner[inode]} && "$ports " != *" $((16#$port)) "* ]] && ports+=" $((16#$port))"
  done
  [[ $ports ]] || return 0
  towline_say "the command listens on port$ports and not, so far, on its own port $PORT: give it '{port}' or \$PORT"
  towline_told=1
}

# Starts the command in the background as a process group of its own.
towline_launch() {
  local left
  local -a wrapper=()
  if ((towline_limit > 0)); then
    left=$((towline_limit - SECONDS))
    ((left > 0)) || { towline_say 'the time limit is over before the command began'; towline_end 124; }
    wrapper=(timeout --kill-after=10 "$left")
  fi
  towline_command
  towline_launching=1
  set -m
  "${wrapper[@]}" "${towline_argv[@]}" </dev/null &
  towline_server=$!
  set +m
  towline_launching=''
  towline_attempt "$towline_server"
}

# Tells where the server listens, now that it does.
towline_publish() {
  local host=$towline_host loopback=false
  case $towline_rank in
    1)
      loopback=true
      if [[ $towline_same_host ]]; then
        host=$towline_address
      elif [[ ! $towline_private ]]; then
        towline_say "the command listens on $towline_address only, out of reach from other hosts: make it bind 0.0.0.0," \
          'unless tunnels go through its node'
      fi
      ;;
    # A listener at one address answers only there.
    2) host=${towline_address:-$towline_host} ;;
  esac
  towline_record place.json published_at "\"host\":\"$host\",\"node\":\"$towline_node\",\"port\":$PORT,\
\"pid\":$towline_pid,\"address\":\"$towline_address\",\"loopback\":$loopback"
}

# Takes back where the server is to listen: a scheduler may put the job into its queue again, and from its next run on
# the place of this one would be a lie.
towline_retract() { towline_tool rm -f "$towline_dir"/{place,attempt}.json; }

# Waits until the server listens (and tells where), has ended, or cannot have its port: then sets towline_taken.
towline_watch() {
  local began=$SECONDS taken_at='' elsewhere_at=5 pause=0.2
  towline_taken=''
  while kill -0 "$towline_server" 2>/dev/null && [[ ! $towline_stopping ]]; do
    towline_look
    case $towline_found in
      own)
        towline_taken=''
        if [[ $towline_private ]] && ((towline_rank > 1)); then
          # At once: every moment that it goes on, others may use it.
          towline_exposed=${towline_address:-another address}
          kill -KILL -- "-$towline_server" 2>/dev/null
          return
        fi
        towline_publish && return
        ;;
      stranger)
        towline_taken=1
        # The server may yet find out by itself, and end.
        ((SECONDS - ${taken_at:=$SECONDS} < 3)) || { towline_halt; return; }
        ;;
    esac
    if ((SECONDS - began >= elsewhere_at)); then
      towline_look_elsewhere
      elsewhere_at=$((SECONDS - began + 5))
    fi
    ((SECONDS - began < 30)) || pause=1
    towline_tool sleep "$pause"
  done
  towline_look
  [[ $towline_found != stranger ]] || towline_taken=1
}

# Ends the server's process group: asks, if that was not done yet, and after ten seconds insists.
towline_halt() {
  local tries
  [[ $towline_asked ]] || kill -TERM -- "-$towline_server" 2>/dev/null
  for ((tries = 0; tries < 50; tries++)); do
    kill -0 "$towline_server" 2>/dev/null || return
    towline_tool sleep 0.2
  done
  kill -KILL -- "-$towline_server" 2>/dev/null
}

# What the first TERM or INT does; the scheduler may send it to this shell alone. Later ones change nothing: many a
# server takes a second request as an order to drop everything.
towline_stop() {
  trap '' TERM INT
  towline_stopping=1 towline_signalled=1
  towline_retract
  if [[ $towline_server ]]; then
    towline_asked=1
    kill -TERM -- "-$towline_server" 2>/dev/null
  elif [[ ! $towline_launching ]]; then
    towline_end 143
  fi
}

# Waits for the server's end. A signal interrupts bash's wait; then the server is given its time to end. Bash may lose
# the status of a server that ends meanwhile (Slurm signals all processes of a job at once); it says 127 then, or -1.
towline_wait() {
  local code
  towline_code=''
  if [[ $towline_stopping ]]; then
    towline_halt
    towline_code=143
  fi
  while :; do
    towline_signalled=''
    wait "$towline_server"
    code=$?
    if [[ $towline_code ]] && ((code == 127 || code < 0 || code > 255)); then return; fi
    towline_code=$code
    [[ $towline_signalled ]] || return
    towline_halt
  done
}

# Whatever the command leaves behind ends with it, as under a scheduler.
towline_sweep() {
  local signal tries
  for signal in TERM KILL; do
    [[ ! $towline_server ]] || kill "-$signal" -- "-$towline_server" 2>/dev/null
    for ((tries = 0; tries < 10; tries++)); do
      towline_marked
      ((${#towline_pids[@]} > 0)) || return
      ((tries > 0)) || kill "-$signal" "${towline_pids[@]}" 2>/dev/null
      towline_tool sleep 0.2
    done
  done
}

# Says in the log how the command ended, where nobody had asked it to.
towline_tell_end() {
  if towline_is_over_limit "$towline_code"; then
    towline_say "the time limit of $towline_limit s is over"
  elif ((towline_code > 128 && towline_code <= 192)); then
    towline_say "the command was ended by signal $((towline_code - 128))"
  else
    towline_say "the command ended with exit code $towline_code"
  fi
}

# Whether the time limit was the reason for such an exit code: timeout(1) gives 124, or 137 if it had to kill.
towline_is_over_limit() { ((towline_limit > 0 && SECONDS >= towline_limit && ($1 == 124 || $1 == 137))); }

# Ends this script, once, with the exit code of the command, and leaves a record of it.
towline_end() {
  local signal=null limit=false
  [[ ! $towline_ended ]] || return
  towline_ended=1
  trap '' TERM INT
  towline_sweep
  towline_retract
  (($1 > 128 && $1 <= 192)) && signal=$(($1 - 128))
  towline_is_over_limit "$1" && limit=true
  towline_record exit.json ended_at "\"code\":$1,\"signal\":$signal,\"time_limit\":$limit"
  exit "$1"
}

# Runs the command; on another port if somebody else was faster to take the first.
towline_serve() {
  local attempt
  # The set-up may have changed what the functions above rely on.
  set +efu
  shopt -u failglob nullglob
  IFS=$' \t\n'
  trap towline_stop TERM INT
  for ((attempt = 1; attempt <= 5; attempt++)); do
    # The set-up may have changed it.
    if ((attempt == 1)); then export PORT=$towline_port; else towline_pick_port; fi
    export HOST=$towline_listen
    towline_launch
    towline_watch
    towline_wait
    [[ ! $towline_exposed ]] || towline_fail "the command listened on port $PORT of $towline_exposed, where other users\
 reach it, and was ended: it is to listen on the loopback interface alone, so give it '{host}' or \$HOST as its address"
    if [[ ! $towline_taken || $towline_stopping ]] || ((towline_code == 0)); then
      [[ $towline_stopping ]] || towline_tell_end
      towline_end "$towline_code"
    fi
    kill -KILL -- "-$towline_server" 2>/dev/null
    towline_server=''
    towline_say "another program has taken port $PORT"
  done
  towline_fail 'five ports in a row were taken by other programs'
}
