# Runs the container of one service and ends with its exit code (bash 4.2 or later):
#   bash container.sh DIRECTORY ENGINE NAME PORT NETWORK WORD...
# The words are those of `ENGINE create`. The engine's own word on the container counts, not what its client ends with.
box_dir=$1 box_engine=$2 box_name=$3 box_port=$4 box_network=$5
shift 5
box_stopping='' box_client='' box_told='' box_warned='' box_leaving=0
umask 077

# How long a container may take to be made, in seconds: its file system may have to be copied.
box_making=900

# How long a container may take to end once it was asked to, in seconds: less than what the job gives its command.
box_grace=8

box_say() { printf 'towline: %s\n' "$*"; }

box_ask() { timeout --kill-after=2 20 "$box_engine" "$@"; }

# Sets box_state, box_code, box_oom and box_pid to what the engine says; the state is `absent` if there is no such
# container. Fails, and says so once, if the engine gives no answer.
box_look() {
  local answer
  box_state='' box_code=0 box_oom=false box_pid=0
  if answer=$(box_ask container inspect --format \
    '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Pid}}' "$box_name" 2>&1); then
    read -r box_state box_code box_oom box_pid <<<"$answer"
    [[ $box_code =~ ^[0-9]{1,3}$ ]] || box_code=255
    box_told=''
  elif [[ ${answer,,} == *'no such container'* ]]; then
    box_state=absent
  else
    [[ $box_told ]] || box_say "$box_engine does not tell of its container: $answer"
    box_told=1
    return 1
  fi
}

# Writes a file of the service's directory so that a reader sees all of it or nothing.
box_write() { printf '%s\n' "$2" >"$box_dir/$1.tmp" && mv -f "$box_dir/$1.tmp" "$box_dir/$1"; }

# Ends this script with an exit code, and leaves what the engine said last.
box_end() {
  box_write container.end "$box_state $1 $box_oom"
  rm -f "$box_dir/stand-in"
  exit "$1"
}

# Asks the container to end, and lets the engine insist. A paused one could not heed it.
box_stop() {
  box_stopping=1
  box_look || :
  [[ $box_state != paused ]] || box_ask unpause "$box_name" >/dev/null
  [[ $box_state == @(running|paused|restarting|stopping) ]] || return
  box_ask stop -t "$box_grace" "$box_name" >/dev/null || box_ask kill "$box_name" >/dev/null
}

# Follows the container's output, in a session of its own: what the job's processes are told is not the engine's to hear.
box_follow() {
  setsid "$box_engine" "$@" "$box_name" &
  box_client=$!
}

# Whether a server listens in the container's own network (state 0A; the fields are those of proc_net_tcp in Linux's
# documentation), on an address that the engine reaches. The engine holds the port before that, and turns everybody away.
box_listens() {
  local hex address state
  printf -v hex '%04X' "$box_port"
  while read -r _ address _ state _; do
    [[ $state == 0A && ${address#*:} == "$hex" ]] || continue
    case ${address%:*} in
      ??????7F | 00000000000000000000000001000000)
        [[ $box_warned ]] || box_say 'the server listens on the loopback interface of its container only, out of reach:' \
          "give it '{host}' or \$HOST as its address"
        box_warned=1
        ;;
      *) return 0 ;;
    esac
  done < <(cat /proc/"$box_pid"/net/tcp /proc/"$box_pid"/net/tcp6 2>/dev/null)
  return 1
}

# Tells the job whose port it is, once the container runs: that of its own processes or, as soon as a server listens, that
# of the engine, which publishes it.
box_tell() {
  local began=$SECONDS pause=0.2
  while kill -0 "$box_client" 2>/dev/null; do
    if box_look && [[ $box_state == running ]]; then
      # A request that came before it ran was none to it.
      [[ ! $box_stopping ]] || { box_stop; return; }
      if [[ $box_network != host ]]; then
        ! box_listens || { box_write stand-in "$box_port 0"; return; }
      elif [[ -r /proc/$box_pid/environ ]]; then
        box_write stand-in "0 $box_pid"
        return
      else
        box_say "this user cannot look at the processes of $box_engine, so that nobody can tell whose port it is:" \
          'use --network bridge'
        box_stop
        return
      fi
    fi
    ((SECONDS - began < 30)) || pause=1
    sleep "$pause"
  done
}

trap box_stop TERM INT
rm -f "$box_dir"/container.{id,end} "$box_dir/stand-in"
# One of an earlier attempt, on another port.
if ! box_look || [[ $box_state != absent ]]; then box_ask rm -f "$box_name" >/dev/null; fi
box_state=absent box_oom=false
timeout --kill-after=2 "$box_making" "$box_engine" create "$@" >/dev/null
box_code=$?
if ((box_code != 0)); then
  ((box_code != 124)) || box_say "$box_engine took longer than $box_making s"
  box_say "$box_engine has made no container"
  # What was broken off may have made one all the same.
  box_look || :
  box_end 125
fi
chmod 600 "$box_dir/container.id"
box_look || :
[[ ! $box_stopping ]] || box_end 143
# From its start on the engine holds the port, which is not to be taken for a stranger's.
[[ $box_network == host ]] || box_write stand-in "$box_port 0 awaited"
box_follow start --attach
box_tell
while :; do
  wait "$box_client"
  box_client_code=$?
  # A signal ends the wait, and not the client.
  if kill -0 "$box_client" 2>/dev/null; then continue; fi
  box_look || { sleep 1; continue; }
  case $box_state in
    exited | stopped | dead)
      [[ $box_oom != true ]] || box_say 'the container ran out of memory'
      box_end "$box_code"
      ;;
    absent)
      box_say "container $box_name was removed"
      box_end 137
      ;;
    created | initialized)
      box_say "$box_engine has not started the container"
      box_end "$((box_client_code > 0 ? box_client_code : 125))"
      ;;
    stopping)
      # One whose monitor was killed stays so for ever, though its processes are gone.
      [[ -d /proc/$box_pid ]] || ((++box_leaving < 5)) || box_ask rm -f "$box_name" >/dev/null
      ;;
    running)
      # Somebody has ended the client, or the engine was restarted.
      if [[ $box_stopping ]]; then
        box_stop
      else
        box_follow attach --no-stdin --sig-proxy=false
        box_tell
      fi
      ;;
  esac
  sleep 1
done
