LC_ALL=C
export LC_ALL
set +f
newline='
'
field() { printf '%s\0' "$@"; }
finish() { printf '\036end\0'; exit 0; }
printf '\n\036\n' >&2
printf '\0\036stage\0'
