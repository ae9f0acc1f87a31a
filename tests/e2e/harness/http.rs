//! HTTP as plain as it gets.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: String,
}

impl Answer {
    /// Everything behind the headers, as it came.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }
}

/// Asks for a URL of the form `http://HOST:PORT/PATH`.
pub(crate) fn get(url: &str) -> io::Result<Answer> {
    get_within(url, PATIENCE)
}

/// The same, with a server that may be silent for so long.
pub(crate) fn get_within(url: &str, patience: Duration) -> io::Result<Answer> {
    let rest = url.trim().strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok(Answer { status: status.ok_or(io::ErrorKind::UnexpectedEof)?, body: body.to_owned() })
}
