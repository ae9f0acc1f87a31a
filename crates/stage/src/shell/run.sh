LC_ALL=C
export LC_ALL
newline='
'
files=0
bytes=0
state() { printf '%s\n' "$1" "$files" "$bytes" "$2" "$3" >"$dir/state.new" && mv -f "$dir/state.new" "$dir/state"; }
# Puts a file in its place at once. A directory there is an error, not a place to put it into.
place() { mv -f -T "$1" "$2"; }
# Ends with a kind of failure and its words.
fail() {
  state failed '' "$1$(printf '\t')$(printf '%s' "$2" | tr '\n' ' ')"
  exit 1
}
trap '' HUP
trap 'fail stopped ""' TERM INT
if [ "$1" != held ]; then
  exec 9>>"$dir/lock"
  ! command -v flock >/dev/null 2>&1 || flock 9
fi
printf '%s %s\n' "$(uname -n)" "$$" >"$dir/pid.new" && mv -f "$dir/pid.new" "$dir/pid"
token=
if [ -f "$dir/token" ]; then
  IFS= read -r token <"$dir/token"
  rm -f "$dir/token"
fi
