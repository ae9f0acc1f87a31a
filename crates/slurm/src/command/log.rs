//! Pieces of a service's log, waited for where it lies.

use std::time::Duration;

use towline_core::id::ServiceId;
use towline_core::ports::{FilesError, LogChunk, LogFrom, ShellOutput};

use crate::error::ClusterError;
use crate::frame::{self, MARK, PRELUDE};
use crate::home::Home;

/// The most bytes that one answer carries.
const CHUNK_MAX: u64 = 1 << 20;

/// The log is looked at twice a second until it has something new, then `head` sends exactly as many bytes as were
/// announced (a log only grows; a shorter one was begun anew, and is read from its beginning). To find the last
/// lines its size is taken before and after, as it may grow meanwhile.
const TEXT: &str = r#"export LC_ALL=C
log=$dir/server.log
[ -d "$dir" ] || { say m; finish; }
section log
size() { if [ -e "$log" ]; then wc -c <"$log"; else echo -1; fi; }
until=$(($(date +%s) + wait))
while :; do
  size=$(($(size)))
  [ "$offset" -le "$size" ] || [ "$size" -lt 0 ] || offset=0
  if [ -n "$tail" ]; then
    [ "$size" -le 0 ] || break
  else
    [ "$size" -le "$offset" ] || break
  fi
  [ "$(date +%s)" -lt "$until" ] || break
  sleep 0.5 2>/dev/null || sleep 1
done
[ "$size" -ge 0 ] || { say m; finish; }
[ -f "$log" ] && [ -r "$log" ] || { say u; finish; }
if [ -n "$tail" ]; then
  for try in 1 2 3; do
    size=$(($(size)))
    length=$(($(tail -n "$tail" "$log" | wc -c)))
    [ "$size" -ne "$(($(size)))" ] || break
  done
  [ "$length" -le "$max" ] || length=$max
  [ "$length" -le "$size" ] || length=$size
  offset=$((size - length))
fi
length=$((size - offset))
[ "$length" -le "$max" ] || length=$max
say "l$offset $length"
[ "$length" -le 0 ] || tail -c "+$((offset + 1))" "$log" | head -c "$length"
printf '\n'
finish
"#;

/// The text of the remote command, which takes up to `wait`, in whole seconds rounded up.
pub(crate) fn script(id: ServiceId, home: &Home, from: LogFrom, wait: Duration) -> String {
    let (offset, tail) = match from {
        LogFrom::Tail(lines) => (0, lines.to_string()),
        LogFrom::Offset(offset) => (offset.min(i64::MAX.unsigned_abs()), String::new()),
    };
    format!(
        "{PRELUDE}dir={dir}\noffset={offset}\ntail={tail}\nwait={wait}\nmax={CHUNK_MAX}\n{TEXT}",
        dir = home.service_word(id),
        wait = wait.as_millis().div_ceil(1000),
    )
}

/// Reads the answer of [`script`]: a line with offset and length, then so many bytes of whatever kind.
pub(crate) fn read(output: &ShellOutput, home: &Home) -> Result<LogChunk, FilesError> {
    let garbled = || {
        let problem = frame::incomplete(output);
        FilesError::Unreachable(Box::new(ClusterError::Garbled { problem }))
    };
    let bytes = output.stdout.as_slice();
    let end = format!("\n{MARK}.\n");
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&b| b == b'\n') {
        let (line, after) = (&rest[..at], &rest[at + 1..]);
        rest = after;
        let Some(line) = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MARK)) else {
            continue;
        };
        if line == "m" {
            return Err(FilesError::Missing);
        }
        if line == "u" {
            let words = "the log is no file that can be read".to_owned();
            return Err(FilesError::Failed(Box::new(ClusterError::Home { home: home.to_string(), words })));
        }
        let header = line.strip_prefix('l').and_then(|numbers| numbers.split_once(' '));
        let Some((offset, length)) = header else { continue };
        let (Ok(offset), Ok(length)) = (offset.parse::<u64>(), length.parse::<u64>()) else { continue };
        let body = rest.strip_suffix(end.as_bytes()).ok_or_else(garbled)?;
        // Fewer bytes than announced: the log was begun anew meanwhile. What came is of no use then.
        if body.len() as u64 != length {
            return Ok(LogChunk { bytes: Vec::new(), next: 0 });
        }
        return Ok(LogChunk { bytes: body.to_vec(), next: offset.saturating_add(length) });
    }
    Err(garbled())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(stdout: &[u8]) -> Result<LogChunk, FilesError> {
        read(&ShellOutput { stdout: stdout.to_vec(), stderr: Vec::new(), code: 0 }, &Home::default())
    }

    #[test]
    fn any_bytes_come_through() {
        let mut stdout = b"noise\n\n\x1el5 12\n".to_vec();
        let body = b"\x00\xff\x1e.\n\n\x1el0 9\n";
        stdout.extend(body);
        stdout.extend(b"\n\x1e.\n");
        assert_eq!(answer(&stdout).unwrap(), LogChunk { bytes: body.to_vec(), next: 17 });
    }

    #[test]
    fn nothing_new_is_an_empty_piece() {
        assert_eq!(answer(b"\x1el7 0\n\n\x1e.\n").unwrap(), LogChunk { bytes: vec![], next: 7 });
    }

    #[test]
    fn a_log_that_shrank_meanwhile_is_read_anew() {
        assert_eq!(answer(b"\x1el7 5\nabc\n\x1e.\n").unwrap(), LogChunk { bytes: vec![], next: 0 });
    }

    #[test]
    fn a_missing_log_and_a_lost_answer_are_told_apart() {
        assert!(matches!(answer(b"\x1em\n\x1e.\n"), Err(FilesError::Missing)));
        for cut in [&b""[..], b"noise\n", b"\x1el7 3\nabc", b"\x1el7 3\nabc\n", b"\x1elx y\n\x1e.\n"] {
            assert!(matches!(answer(cut), Err(FilesError::Unreachable(_))), "{cut:?}");
        }
    }
}
