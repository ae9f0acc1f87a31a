# Needs: dir, name. Nothing is taken away from under a download, nor before one that waits in the queue; none begins meanwhile.
umask 077
take
queue=$(queued)
case $? in
  0) [ -z "$queue" ] || { field b ''; finish; } ;;
  127) ;;
  *) [ ! -s "$dir/job" ] || { field q ''; finish; } ;;
esac
enter() { cd "$1" || { field d "$1"; finish; }; }
# What cannot be seen may need what is to go.
seen() { find -H "$1" >/dev/null || { field u ''; finish; }; }
# The note of a download goes with what it loaded.
end() { gone "$dir"; finish; }
gone() { rm -rf -- "$1" || { field d "$1"; finish; }; }
