# Needs: dir, name. Ends what was begun here; a job is Slurm's.
if held && [ -s "$dir/pid" ]; then
  read -r host pid <"$dir/pid"
  if [ "$host" = "$(uname -n)" ]; then
    kill -s TERM -- "-$pid" 2>/dev/null || kill -s TERM "$pid"
  else
    field h "$host"
  fi
  tries=50
  while held && [ "$tries" -gt 0 ]; do
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries - 1))
  done
fi
rm -f "$dir/token"
finish
