# Needs: repo (the model's directory), base (URL of its files), commit, ref (empty for a commit), all (yes if
# no file of it is left out), pause.
blobs=$repo/blobs
for tool in curl sha256sum sha1sum stat awk; do
  command -v "$tool" >/dev/null 2>&1 || fail tool "$tool"
done
said=$(mkdir -p "$blobs" "$repo/refs" "$repo/snapshots" 2>&1) || fail directory "$said"
# Waits before another try, which the hub may ask for; there is an end to that.
later() {
  tries=$((tries + 1))
  [ "$tries" -le 8 ] || fail "$1" "$2"
  delay=$((pause << (tries - 1)))
  [ "$delay" -le 60 ] || delay=60
  asked=$(retry_after)
  case $code$asked in
    429 | 503 | *[!0-9]*) ;;
    429* | 503*) [ "$asked" -le 300 ] && delay=$asked || delay=300 ;;
  esac
  state wait "$part" "$2; next try in $delay s"
  sleep "$delay"
}
# No room is told by whoever wants to write there.
no_room() {
  said=$({ head -c 65536 /dev/zero >"$blobs/.room.$$"; } 2>&1)
  code=$?
  rm -f "$blobs/.room.$$"
  [ "$code" -ne 0 ] || return 0
  # The word of it may lie on the same disk.
  case $said in
    *space* | *uota*) truncate -s -65536 "$part"; fail full "$said" ;;
    *) fail directory "$said" ;;
  esac
}
fits() {
  case ${#hash} in
    64) sum=$(sha256sum <"$1") ;;
    *) sum=$({ printf 'blob %s\0' "$want"; cat "$1"; } | sha1sum) ;;
  esac
  [ "${sum%% *}" = "$hash" ]
}
# From the hub to wherever it leads; from there on without the token, which goes to the hub alone.
transfer() {
  url=$1
  hops=0
  set_origin "$url"
  how=-I
  while [ "$origin" = "$hub_origin" ]; do
    # shellcheck disable=SC2086
    request "$url" $how -o "$work/none"
    # A mirror may not know or not allow such requests; a byte of the file then tells where it is.
    case $how$code$(header x-error-code) in -I403 | -I405 | -I501) how='-r 0-0'; continue ;; esac
    is_redirect || break
    hops=$((hops + 1))
    [ "$hops" -le 10 ] || fail hub "redirects without end for $path"
    url=$redirect
    set_origin "$url"
  done
  if [ "$origin" = "$hub_origin" ]; then
    case $how$failure/$code in -I0/200 | -r*/20[06] | -r*/416) ;; *) return ;; esac
    hops=0
  else
    hops=5
  fi
  resume=
  [ "$have" -eq 0 ] || resume="-C $have"
  # shellcheck disable=SC2086
  request "$url" -f -L --max-redirs "$hops" --max-filesize "$want" $resume -o "$part"
}
judge() {
  case $failure/$code in
    0/200 | 0/206) ;;
    # It sends no parts, or none from there on.
    33/* | */416) rm -f "$part"; later hub "no part of $path can be had" ;;
    23/*) no_room; later answer "$(words)" ;;
    # What it says about an error may be longer than the file.
    63/2*) fail hub "more of $path than it has by the hub's list" ;;
    1/* | 47/* | 51/* | 60/*) fail answer "$(words)" ;;
    */429) later limited "the hub asks for fewer requests" ;;
    */401 | */403 | */404) fail http "$code$tab$(header x-error-code)$tab$(header x-error-message)$tab$path" ;;
    */408 | */5??) later answer "the hub answered $code for $path" ;;
    0/* | 22/* | 63/*) fail hub "$code for $path" ;;
    *) later answer "$(words)" ;;
  esac
}
measure() {
  have=0
  [ ! -f "$part" ] || have=$(stat -c %s "$part")
}
get() {
  part=$blobs/$hash.incomplete
  for file in "$part" "$blobs/$hash"; do
    [ ! -d "$file" ] || fail directory "$file is a directory"
  done
  most=$want
  tries=0
  bad=0
  code=000
  measure
  [ "$have" -le "$want" ] || rm -f "$part"
  measure
  # What was had before and got lost is no progress.
  record=$have
  while :; do
    measure
    if [ "$have" -eq "$want" ]; then
      [ -f "$part" ] || : >"$part"
      state check "$part" "$path"
      if fits "$part"; then
        said=$(place "$part" "$blobs/$hash" 2>&1) || fail directory "$said"
        return
      fi
      rm -f "$part"
      bad=$((bad + 1))
      [ "$bad" -lt 2 ] || fail checksum "$path"
      continue
    fi
    state run "$part" "$path"
    transfer "$base$url_path"
    measure
    if [ "$have" -gt "$want" ]; then
      rm -f "$part"
      fail hub "more of $path than it has by the hub's list"
    fi
    if [ "$have" -gt "$record" ]; then
      record=$have
      tries=0
      progress=yes
    else
      progress=
    fi
    judge
    case $failure$progress in 0) [ "$have" -eq "$want" ] || later answer "$path is cut off" ;; esac
  done
}
note=$repo/.towline/$commit
# What others have left is compared as well, until all of this commit was once.
there() {
  [ -f "$blobs/$hash" ] && [ "$(stat -c %s "$blobs/$hash")" -eq "$want" ] || return 1
  [ ! -f "$note" ] || return 0
  state check "$blobs/$hash" "$path"
  fits "$blobs/$hash"
}
while IFS=$tab read -r hash want url_path up path <&3; do
  if ! there; then
    # As huggingface_hub does, so that a server that loads the same keeps away.
    locks=${repo%/*}/.locks/${repo##*/}
    if command -v flock >/dev/null 2>&1 && mkdir -p "$locks" 2>/dev/null && : 2>/dev/null >>"$locks/$hash.lock"; then
      exec 8>>"$locks/$hash.lock"
      flock -n 8 || {
        [ $? -ne 1 ] || { state wait '' "somebody else downloads $path"; flock 8; }
      }
    fi
    there || get
    exec 8>&-
  fi
  files=$((files + 1))
  bytes=$((bytes + want))
done 3<"$dir/list"
state link '' ''
link_all() {
  while IFS=$tab read -r hash want url_path up path <&3; do
    link=$1/$path
    [ "$link" -ef "$blobs/$hash" ] && continue
    said=$({ mkdir -p "${link%/*}" && ln -sfT "${up}blobs/$hash" "$link"; } 2>&1) || fail directory "$said"
  done 3<"$dir/list"
}
# Who is killed here leaves no snapshot that looks whole and is not.
snapshot=$repo/snapshots/$commit
if [ ! -d "$snapshot" ]; then
  new=$repo/.snapshot.$(uname -n).$$
  link_all "$new"
  # Somebody else may have been quicker.
  mv -T "$new" "$snapshot" || rm -rf "$new"
fi
link_all "$snapshot"
if [ -n "$all" ]; then
  said=$({ mkdir -p "${note%/*}" && : >"$note"; } 2>&1) || fail directory "$said"
fi
if [ -n "$ref" ]; then
  said=$({
    file=$repo/refs/$ref
    mkdir -p "${file%/*}" && printf '%s' "$commit" >"$file.new.$$" && place "$file.new.$$" "$file"
  } 2>&1) || fail directory "$said"
fi
state done '' ''
