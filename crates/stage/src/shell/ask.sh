for tool in curl awk mktemp; do
  command -v "$tool" >/dev/null 2>&1 || { field n "$tool"; finish; }
done
work=$(mktemp -d) || { field d "${TMPDIR:-/tmp}"; finish; }
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM PIPE
# No list is longer; who sends more would fill this disk, and memory where it is read.
most=33554432
tries=0
while :; do
  url=$hub$path
  hops=0
  while :; do
    : >"$work/body"
    request "$url" -o "$work/body" --max-time 60 --max-filesize "$most"
    [ "$failure" -eq 0 ] || code=000
    [ "$failure" -ne 63 ] && [ "$(wc -c <"$work/body")" -le "$most" ] || { code=long; break; }
    is_redirect || break
    hops=$((hops + 1))
    [ "$hops" -le 10 ] || { code=redirects; break; }
    url=$redirect
  done
  tries=$((tries + 1))
  [ "$tries" -lt 3 ] || break
  wait=$((pause * tries))
  case $code in
    000 | 408 | 5??) ;;
    429)
      wait=$(retry_after)
      case $wait in '' | *[!0-9]*) wait=$((pause * tries)) ;; esac
      [ "$wait" -le 20 ] || break
      ;;
    *) break ;;
  esac
  sleep "$wait"
done
field a "$code" "$(header x-error-code)" "$(header x-error-message)" "$(retry_after)" "$(words)"
[ "$code" != 200 ] || cat "$work/body"
field ''
finish
