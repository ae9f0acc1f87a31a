# Needs: dir, name (of the job), place (here or job), tools.
trap '' HUP PIPE
for tool in $tools; do
  command -v "$tool" >/dev/null 2>&1 || { field n "$tool"; finish; }
done
mask=$(umask)
umask 077
take
if [ "$place" = job ]; then
  queue=$(queued) || { field q ''; finish; }
  [ -z "$queue" ] || { field b "${queue%% *}" "$(head -n 1 "$dir/list" 2>/dev/null)"; finish; }
fi
put() { cat >"$dir/$1.new" && mv -f "$dir/$1.new" "$dir/$1" || { field d "$dir"; finish; }; }
rm -f "$dir/state" "$dir/pid" "$dir/job" "$dir/token" "$dir/log"
