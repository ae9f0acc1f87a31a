seen=' '
# Goes into a directory that was not looked at yet, under whichever name.
enter() {
  [ -d "$1" ] || return 1
  if ! { cd "$1" && [ -r . ]; } 2>/dev/null; then
    field w "$1"
    return 1
  fi
  id=$2$(stat -L -c %d:%i .)
  case $seen in *" $id "*) return 1 ;; esac
  seen="$seen$id "
  here=$(pwd)
}
# A directory that may be a cache of Hugging Face's hub; links are followed to it and its models, not below.
hub() {
  enter "$1" h || return 0
  set -- models--*
  [ -e "$1" ] || [ -L "$1" ] || return 0
  field h "$here"
  models=$#
  find -H "$@" -maxdepth 16 -mindepth 1 -printf 'e\0%y\0%Y\0%s\0%T@\0%p\0%l\0'
  for refs in models--*/refs; do
    [ -d "$refs" ] || continue
    set -- "$@" "$refs"
  done
  shift "$models"
  [ $# -gt 0 ] || return 0
  find -H "$@" -mindepth 1 -maxdepth 16 -type f -exec sh -c '
    for file do
      commit=
      IFS= read -r commit <"$file"
      printf "r\0%s\0%s\0" "$file" "$commit"
    done' sh {} +
}
# Files of models that are no cache's.
files() {
  enter "$1" f || return 0
  field g "$here"
  find . -mindepth 1 -maxdepth 3 \( -name 'models--*' -o -name '.*' \) -prune -o \
    -type f -name '*.gguf' -printf 'f\0%s\0%T@\0%P\0'
}
images() {
  enter "$1" i || return 0
  for file in *.sif; do
    [ -f "$file" ] || continue
    about=$(stat -L -c '%s %Y' "./$file") || continue
    source=
    [ ! -r ".$file.source" ] || IFS= read -r source <".$file.source"
    field s "$about" "$here/$file" "$source"
  done
}
# Tokens of downloads below this directory that neither run nor wait in the queue, such as of a job that was cancelled there.
tidy() {
  for file in "$1"/stage/*/token; do
    [ -f "$file" ] || continue
    dir=${file%/token}
    name=towline-add-${dir##*/}
    # Who begins a download has the lock until the job is known; where there are no locks, a note of what has begun.
    held && continue
    command -v flock >/dev/null 2>&1 || [ -s "$dir/job" ] || [ -s "$dir/pid" ] || continue
    if queue=$(queued); then
      [ -n "$queue" ] || rm -f "$file"
    elif [ ! -s "$dir/job" ]; then
      rm -f "$file"
    fi
  done
}
command -v stat >/dev/null 2>&1 || { field n stat; finish; }
command -v find >/dev/null 2>&1 || { field n find; finish; }
