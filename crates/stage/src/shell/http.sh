# Needs: hub (its URL), token (may be empty), work (a directory of our own).
tab=$(printf '\t')
protocols='=https'
case $hub in http:*) protocols='=http,https' ;; esac
# Of scheme, host and port nothing may differ where the token goes.
set_origin() {
  origin=${1#*://}
  origin=${1%%://*}://${origin%%[/?#]*}
}
set_origin "$hub"
hub_origin=$origin
# A bound on every file that curl writes, whatever the server says of its length: bytes, in blocks of 512 (of 1024 in bash), and room for headers.
bounded_curl() {
  trap '' XFSZ
  ulimit -S -f $((most / 512 + 256)) 2>/dev/null
  exec curl "$@"
}
# One request of curl's for at most `most` bytes, which gets URL and token on its standard input: neither is an argument, where others could read it.
# Sets code, redirect and failure (curl's exit code).
request() {
  target=$1
  shift
  redirect=
  code=000
  failure=3
  : >"$work/head"
  case $target in *[\"\\]* | *"$newline"*) echo 'a URL with a quote' >"$work/words"; return ;; esac
  set_origin "$target"
  answer=$({
    printf 'url = "%s"\n' "$target"
    if [ -n "$token" ] && [ "$origin" = "$hub_origin" ]; then
      printf 'header = "Authorization: Bearer %s"\n' "$token"
    fi
  } | bounded_curl -q -K - -sS -g --proto "$protocols" --connect-timeout 30 --speed-limit 1 --speed-time 60 -A towline \
    -D "$work/head" -w '%{http_code} %{redirect_url}' "$@" 2>"$work/words")
  failure=$?
  code=${answer%% *}
  redirect=${answer#* }
}
# A header of the last answer.
header() {
  awk -v name="$1" '
    /^HTTP\// { value = "" }
    {
      at = index($0, ":")
      if (at && tolower(substr($0, 1, at - 1)) == name) {
        value = substr($0, at + 1)
        gsub(/^[ \t]+|[ \t\r]+$/, "", value)
      }
    }
    END { print value }' "$work/head"
}
# What curl said last, on one line; nothing is there where the disk is full.
words() {
  said=$(tail -n 1 "$work/words" 2>/dev/null | tr -d '\r')
  printf '%s' "${said:-curl ended with exit code $failure}"
}
# How many seconds the hub wants to be left alone, by either of its headers (huggingface_hub, `utils/_http.py`: `RateLimit`).
retry_after() {
  after=$(header retry-after)
  limit=$(header ratelimit)
  case $after$limit in *';t='*) after=${limit##*;t=} after=${after%%[!0-9]*} ;; esac
  printf '%s' "$after"
}
# Whether the last answer leads elsewhere.
is_redirect() {
  case $code in 301 | 302 | 303 | 307 | 308) [ -n "$redirect" ] ;; *) return 1 ;; esac
}
