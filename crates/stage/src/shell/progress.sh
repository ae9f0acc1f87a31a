# Needs: dir, name, wait (seconds).
[ -d "$dir" ] || { field m; finish; }
job=
[ ! -s "$dir/job" ] || read -r job <"$dir/job"
look() {
  status= files= bytes= part= said=
  [ -s "$dir/state" ] || return
  {
    read -r status
    read -r files
    read -r bytes
    IFS= read -r part
    IFS= read -r said
  } <"$dir/state"
}
runs=yes
queue=
if [ -n "$job" ]; then
  if queue=$(queued); then
    case $queue in
      "$job "* | *"$newline$job "*) ;;
      # A file that a node has written may be seen late here.
      *) runs=no wait=$((wait + 10)) ;;
    esac
  fi
fi
until=$(($(date +%s) + wait))
while :; do
  [ -n "$job" ] || held || runs=no
  look
  case $status in done | failed) break ;; esac
  [ "$runs" = yes ] || [ -n "$job" ] || break
  [ "$(date +%s)" -lt "$until" ] || break
  sleep 0.2 2>/dev/null || sleep 1
done
size=
[ -z "$part" ] || size=$(stat -c %s "$part" 2>/dev/null)
field p "$status" "$files" "$bytes" "${size:-0}" "$said" "$runs" "$job" "${queue#"$job "}"
case $status in
  done | failed) runs=no ;;
esac
if [ "$runs" = no ]; then
  rm -f "$dir/token"
  field l "$(tail -n 3 "$dir/log" 2>/dev/null | tail -c 1000)"
fi
finish
