//! HTTP as plain as it gets: what arrives, and in which pieces.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Everything behind the headers, as it came, in the pieces in which it came.
    pub(crate) pieces: Vec<String>,
}

impl Answer {
    /// The whole body.
    pub(crate) fn body(&self) -> String {
        self.pieces.concat()
    }
}

/// Asks for a URL of the form `http://HOST:PORT/PATH`.
pub(crate) fn get(url: &str) -> io::Result<Answer> {
    ask("GET", url, "", PATIENCE)
}

/// The same, with a server that may be silent for so long.
pub(crate) fn get_within(url: &str, patience: Duration) -> io::Result<Answer> {
    ask("GET", url, "", patience)
}

/// Sends JSON and reads the response as it comes.
pub(crate) fn post_stream(url: &str, json: &str) -> io::Result<Answer> {
    ask("POST", url, json, PATIENCE)
}

fn ask(method: &str, url: &str, body: &str, patience: Duration) -> io::Result<Answer> {
    let rest = url.trim().strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(patience))?;
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    read(&mut stream)
}

fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let (mut head, mut pieces, mut buffer) = (String::new(), Vec::new(), [0; 65536]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if head.contains("\r\n\r\n") {
            pieces.push(text);
        } else {
            head.push_str(&text);
            if let Some((first, rest)) = head.clone().split_once("\r\n\r\n") {
                head = format!("{first}\r\n\r\n");
                pieces.extend((!rest.is_empty()).then(|| rest.to_owned()));
            }
        }
    }
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok(Answer { status: status.ok_or(io::ErrorKind::UnexpectedEof)?, pieces })
}
