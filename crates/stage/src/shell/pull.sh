# Needs: images (the directory), file (the image's name), source.
for program in apptainer singularity ''; do
  [ -n "$program" ] || fail tool apptainer
  ! command -v "$program" >/dev/null 2>&1 || break
done
said=$(mkdir -p "$images/.cache" "$images/.tmp" 2>&1) || fail directory "$said"
export APPTAINER_CACHEDIR="$images/.cache" SINGULARITY_CACHEDIR="$images/.cache"
export APPTAINER_TMPDIR="$images/.tmp" SINGULARITY_TMPDIR="$images/.tmp"
part=$images/.$file.part
state run "$part" ''
# Its own progress is for a terminal; what it says at its end counts.
"$program" --quiet pull --force "$part" "$source" || fail command "$program could not pull it: $(tail -n 3 "$dir/log" | tr '\n' ' ')"
[ -s "$part" ] || fail command "$program has made no image"
said=$({
  printf '%s\n' "$source" >"$images/.$file.source" && place "$part" "$images/$file"
} 2>&1) || fail directory "$said"
bytes=$(stat -c %s "$images/$file")
files=1
state done '' ''
