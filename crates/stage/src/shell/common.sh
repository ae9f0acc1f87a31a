# Needs: dir, name.
if command -v timeout >/dev/null 2>&1; then
  bounded() { timeout -k 2 "$@" </dev/null; }
else
  bounded() { shift; "$@" </dev/null; }
fi
# Keeps the lock of the directory, which nobody may have, until the end.
take() {
  { mkdir -p "$dir" && : >>"$dir/lock"; } || { field d "$dir"; finish; }
  exec 9>>"$dir/lock"
  taken=2
  if command -v flock >/dev/null 2>&1; then
    flock -n 9
    taken=$?
  fi
  case $taken in
    0) ;;
    1) field b '' "$(head -n 1 "$dir/list" 2>/dev/null)"; finish ;;
    # There are no locks, or not on this file system.
    *) held && { field b '' "$(head -n 1 "$dir/list" 2>/dev/null)"; finish; } ;;
  esac
}
# Jobs of that name: id, state and reason.
queued() {
  command -v squeue >/dev/null 2>&1 || return 127
  bounded 15 env -u SQUEUE_STATES -u SQUEUE_FORMAT -u SLURM_CLUSTERS squeue -h -u "$(id -un)" -n "$name" -o '%A %T %r' 2>/dev/null
}
# Whether it runs: by its lock, which its children keep too; without locks by its process.
held() {
  if command -v flock >/dev/null 2>&1; then
    flock -n 8 8>>"$dir/lock"
    case $? in 0) return 1 ;; 1) return 0 ;; esac
  fi
  [ -s "$dir/pid" ] && read -r host pid <"$dir/pid" && [ "$host" = "$(uname -n)" ] && kill -0 "$pid" 2>/dev/null
}
