printf 'begun\n0\n0\n\n\n' >"$dir/state" || { field d "$dir"; finish; }
cd
if [ "$place" = job ]; then
  umask "$mask"
  # The lock stays ours until the job is in the queue, but no child's.
  answer=$(bounded 60 sbatch --parsable --chdir="$dir" --output="$dir/log" "$dir/run" 9>&-)
  code=$?
  umask 077
  job=${answer##*"$newline"}
  job=${job%%;*}
  case $job in
    '' | *[!0-9]*)
      rm -f "$dir/token"
      field r "$code"
      finish
      ;;
  esac
  printf '%s\n' "$job" >"$dir/job"
  field j "$job"
  finish
fi
umask "$mask"
if command -v setsid >/dev/null 2>&1; then
  setsid sh "$dir/run" held </dev/null >"$dir/log" 2>&1 9>&9 &
else
  sh "$dir/run" held </dev/null >"$dir/log" 2>&1 9>&9 &
fi
# What runs writes the same; whoever looks meanwhile finds the one or the other, never an empty file.
printf '%s %s\n' "$(uname -n)" "$!" >"$dir/pid.begun" && mv -f "$dir/pid.begun" "$dir/pid"
field j ''
finish
