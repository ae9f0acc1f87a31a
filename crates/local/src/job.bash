# The job is this process: its id, and its start time from field 22 of its proc(5) stat, so that nobody takes another
# process with the same id for it.
read -r towline_stat <"/proc/$$/stat"
towline_stat=(${towline_stat##*) })
towline_this_job=$$-${towline_stat[19]}
read -r towline_boot </proc/sys/kernel/random/boot_id

# Whoever starts a service looks for this file first. It is written before anything else is done, under the lock that
# was handed over as standard input, so that there is one job for the service and it can be found.
printf '{"job":"%s","boot":"%s","limit":%s}\n' "$towline_this_job" "$towline_boot" "$towline_this_limit" \
  >"$towline_this_dir/job.id.tmp" && mv -f "$towline_this_dir/job.id.tmp" "$towline_this_dir/job.id" || {
  echo "towline: cannot write $towline_this_dir/job.id"
  exit 1
}
exec </dev/null

