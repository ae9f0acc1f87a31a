//! Reading a log that is still being written.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use towline_core::ports::{LogChunk, LogFrom};

/// The most that is read at a time.
const CHUNK: u64 = 1 << 20;
/// How much is read at a time on the way back to the beginning of a tail.
const BLOCK: u64 = 1 << 16;

/// Reads what is there, without waiting.
pub(crate) fn read(path: &Path, from: LogFrom) -> io::Result<LogChunk> {
    let mut log = File::open(path)?;
    let length = log.metadata()?.len();
    let start = match from {
        LogFrom::Tail(lines) => tail(&mut log, length, lines)?,
        LogFrom::Offset(offset) if offset > length => 0,
        LogFrom::Offset(offset) => offset,
    };
    log.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    log.take(CHUNK).read_to_end(&mut bytes)?;
    let next = start + bytes.len() as u64;
    Ok(LogChunk { bytes, next })
}

/// Reads the last `most` bytes.
pub(crate) fn end(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut log = File::open(path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    log.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the last `lines` lines begin. The end of the file ends its last line, with or without a newline.
fn tail(log: &mut File, length: u64, lines: u32) -> io::Result<u64> {
    if lines == 0 {
        return Ok(length);
    }
    let (mut end, mut left) = (length, u64::from(lines));
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        log.seek(SeekFrom::Start(begin))?;
        block.clear();
        log.by_ref().take(end - begin).read_to_end(&mut block)?;
        for (index, byte) in block.iter().enumerate().rev() {
            let at = begin + index as u64;
            // A newline at the very end begins no line.
            if *byte == b'\n' && at + 1 < length {
                left -= 1;
                if left == 0 {
                    return Ok(at + 1);
                }
            }
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_text(text: &str, from: LogFrom) -> (String, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, text).unwrap();
        let chunk = read(&path, from).unwrap();
        (String::from_utf8(chunk.bytes).unwrap(), chunk.next)
    }

    #[test]
    fn a_tail_is_whole_lines() {
        assert_eq!(read_text("a\nb\nc\n", LogFrom::Tail(2)), ("b\nc\n".into(), 6));
        assert_eq!(read_text("a\nb\nc", LogFrom::Tail(2)), ("b\nc".into(), 5));
        assert_eq!(read_text("a\nb\n", LogFrom::Tail(9)), ("a\nb\n".into(), 4));
        assert_eq!(read_text("a\n\n\n", LogFrom::Tail(2)), ("\n\n".into(), 4));
        assert_eq!(read_text("a\nb\n", LogFrom::Tail(0)), (String::new(), 4));
        assert_eq!(read_text("", LogFrom::Tail(3)), (String::new(), 0));
    }

    #[test]
    fn a_tail_longer_than_a_block_is_found() {
        let line = "x".repeat(usize::try_from(BLOCK).unwrap() + 7);
        let text = format!("first\n{line}\nlast\n");
        assert_eq!(read_text(&text, LogFrom::Tail(2)).0, format!("{line}\nlast\n"));
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        assert_eq!(read_text("abc", LogFrom::Offset(1)), ("bc".into(), 3));
        assert_eq!(read_text("abc", LogFrom::Offset(3)), (String::new(), 3));
        assert_eq!(read_text("abc", LogFrom::Offset(9)), ("abc".into(), 3), "a log that has shrunk");
    }

    #[test]
    fn the_end_is_as_long_as_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "abc").unwrap();
        for (most, expected) in [(0, ""), (2, "bc"), (3, "abc"), (9, "abc")] {
            assert_eq!(end(&path, most).unwrap(), expected.as_bytes(), "{most}");
        }
    }

    #[test]
    fn a_large_log_comes_in_pieces() {
        let text = "y".repeat(usize::try_from(CHUNK).unwrap() + 5);
        assert_eq!(read_text(&text, LogFrom::Offset(0)).1, CHUNK);
        assert_eq!(read_text(&text, LogFrom::Offset(CHUNK)).0, "yyyyy");
    }
}
