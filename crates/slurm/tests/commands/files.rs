//! Logs and removal, through a real shell.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use crate::support::{LoginHost, OTHER, id};
use towline_core::ports::{FilesError, LogFrom, ServiceFiles as _};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);

fn host_with_log(bytes: &[u8]) -> LoginHost {
    let host = LoginHost::new();
    fs::create_dir_all(host.service("")).unwrap();
    fs::write(host.service("server.log"), bytes).unwrap();
    host
}

async fn read(host: &LoginHost, from: LogFrom, wait: Duration) -> (String, u64) {
    let chunk = host.slurm.read_log(id(), from, wait).await.unwrap();
    (String::from_utf8_lossy(&chunk.bytes).into_owned(), chunk.next)
}

#[tokio::test]
async fn the_last_lines_and_then_what_follows() {
    let host = host_with_log(b"one\ntwo\nthree\n");
    assert_eq!(read(&host, LogFrom::Tail(2), NOW).await, ("two\nthree\n".into(), 14));
    assert_eq!(read(&host, LogFrom::Tail(0), NOW).await, (String::new(), 14));
    assert_eq!(read(&host, LogFrom::Tail(99), NOW).await, ("one\ntwo\nthree\n".into(), 14));
    assert_eq!(read(&host, LogFrom::Offset(14), NOW).await, (String::new(), 14));
    assert_eq!(read(&host, LogFrom::Offset(4), NOW).await, ("two\nthree\n".into(), 14));
}

#[tokio::test]
async fn a_reader_is_woken_by_new_lines() {
    let host = host_with_log(b"one\n");
    let (slurm, path) = (host.slurm.clone(), host.service("server.log"));
    let reader = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(slurm.read_log(id(), LogFrom::Offset(4), LONG)).unwrap()
    });
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"two\n").unwrap();
    let chunk = reader.join().unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.next), (&b"two\n"[..], 8));
}

#[tokio::test]
async fn a_log_that_was_begun_anew_is_read_from_its_beginning() {
    let host = host_with_log(b"new\n");
    assert_eq!(read(&host, LogFrom::Offset(1000), NOW).await, ("new\n".into(), 4));
}

#[tokio::test]
async fn any_bytes_come_in_pieces_of_a_mebibyte() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let host = host_with_log(&bytes);
    host.greet("Welcome\n");
    let mut read = Vec::new();
    let mut next = 0;
    while next < bytes.len() as u64 {
        let chunk = host.slurm.read_log(id(), LogFrom::Offset(next), NOW).await.unwrap();
        assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= 1 << 20);
        read.extend(chunk.bytes);
        assert_eq!(chunk.next, read.len() as u64);
        next = chunk.next;
    }
    assert!(read == bytes);
    let tail = host.slurm.read_log(id(), LogFrom::Tail(u32::MAX), NOW).await.unwrap();
    assert_eq!((tail.bytes.len(), tail.next), (1 << 20, 3_000_000));
    assert!(bytes.ends_with(&tail.bytes));
}

#[tokio::test]
async fn a_log_may_be_missing_or_be_no_file() {
    let host = LoginHost::new();
    for wait in [NOW, LONG] {
        let missing = host.slurm.read_log(id(), LogFrom::Tail(1), wait).await;
        assert!(matches!(missing, Err(FilesError::Missing)), "{missing:?}");
    }
    fs::create_dir_all(host.service("")).unwrap();
    let missing = host.slurm.read_log(id(), LogFrom::Offset(0), NOW).await;
    assert!(matches!(missing, Err(FilesError::Missing)), "{missing:?}");
    fs::create_dir(host.service("server.log")).unwrap();
    let no_file = host.slurm.read_log(id(), LogFrom::Tail(1), NOW).await;
    assert!(matches!(no_file, Err(FilesError::Failed(_))), "{no_file:?}");
}

#[tokio::test]
async fn exactly_the_services_directory_is_removed() {
    let host = host_with_log(b"x");
    let other = host.service("").with_file_name(OTHER);
    fs::create_dir(&other).unwrap();
    for _ in 0..2 {
        host.slurm.remove(id()).await.unwrap();
        assert!(!host.service("").exists() && other.exists());
    }
}
