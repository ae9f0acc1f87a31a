//! A hub that speaks as much of Hugging Face's API as is used, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;
use towline_stage::{Hub, Want};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the hub answers a request for a file.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// This status with these headers, and no more.
    Status(u16, &'static str),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Status 200 and all of it, whatever part is asked for.
    NoRanges,
    /// Part of another place than was asked for.
    WrongRange,
    /// Other bytes than it has.
    Spoilt,
    /// More bytes than it has.
    Long,
    /// More than anybody has room for, without a word of its length.
    Endless,
    /// Status 200 whatever part is asked for, and the connection ends after so many bytes.
    CutNoRanges(usize),
    /// This redirect.
    To(String),
    /// So many bytes, and then nothing more until the hub is told to go on.
    Stall(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    large: Vec<String>,
    /// What the list of files says instead.
    list: Option<serde_json::Value>,
    moods: Vec<(String, Mood)>,
    asked: Vec<Asked>,
    token: Option<&'static str>,
    going_on: bool,
}

/// The hub; its threads end with the process.
#[derive(Clone)]
pub(crate) struct Web {
    inner: Arc<Mutex<Inner>>,
    pub(crate) port: u16,
}

impl Web {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Self { inner: Arc::default(), port: listener.local_addr().unwrap().port() };
        let ours = web.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let web = ours.clone();
                // Who hangs up is no failure of the hub's.
                std::thread::spawn(move || drop(web.serve(stream)));
            }
        });
        web
    }

    /// A hub with three files, one of them large enough for LFS.
    pub(crate) fn with_model() -> (Self, Want) {
        let web = Self::new();
        web.file("config.json", b"{}", false);
        web.file("sub dir/tokenizer +ü.json", b"tokens", false);
        web.file("model.safetensors", &(0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>(), true);
        let name = "org/model-1.5".parse().unwrap();
        (web, Want { name, revision: Want::MAIN.to_owned() })
    }

    pub(crate) fn hub(&self) -> Hub {
        format!("http://127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(crate) fn file(&self, path: &str, content: &[u8], large: bool) {
        let mut inner = self.inner.lock().unwrap();
        inner.files.insert(path.to_owned(), content.to_vec());
        if large {
            inner.large.push(path.to_owned());
        }
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        self.inner.lock().unwrap().files[path].clone()
    }

    /// What the next request whose path holds `part` gets; `HEAD ` before it for such a request alone.
    pub(crate) fn mood(&self, part: &str, mood: Mood) {
        self.inner.lock().unwrap().moods.push((part.to_owned(), mood));
    }

    pub(crate) fn list(&self, list: serde_json::Value) {
        self.inner.lock().unwrap().list = Some(list);
    }

    /// Without this token nothing is shown.
    pub(crate) fn token(&self, token: &'static str) {
        self.inner.lock().unwrap().token = Some(token);
    }

    pub(crate) fn go_on(&self) {
        self.inner.lock().unwrap().going_on = true;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// The requests for a file.
    pub(crate) fn gets(&self, part: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|it| it.method == "GET" && it.path.contains(part)).collect()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let words: Vec<&str> = first.split(' ').collect();
        let [method, path, _] = words.as_slice() else { return Ok(()) };
        let mut asked = Asked {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            range: None,
            authorization: None,
        };
        for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "range" => asked.range = Some(value.to_owned()),
                "authorization" => asked.authorization = Some(value.to_owned()),
                _ => {}
            }
        }
        let (mood, token) = {
            let mut inner = self.inner.lock().unwrap();
            inner.asked.push(asked.clone());
            let whole = format!("{method} {path}");
            let fits = |(part, _): &(String, Mood)| match part.strip_prefix("HEAD ") {
                Some(part) => *method == "HEAD" && path.contains(part),
                None => *method == "GET" && whole.contains(part.as_str()),
            };
            let at = inner.moods.iter().position(fits);
            (at.map(|at| inner.moods.remove(at).1), inner.token)
        };
        let expected = token.map(|token| format!("Bearer {token}"));
        if expected.is_some() && asked.authorization != expected {
            return head(
                &mut stream,
                401,
                "X-Error-Message: Invalid username or password.\r\nContent-Length: 0\r\n",
            );
        }
        match mood {
            Some(Mood::Status(status, headers)) => {
                head(&mut stream, status, &format!("{headers}Content-Length: 7\r\n"))?;
                return if *method == "HEAD" { Ok(()) } else { stream.write_all(b"trouble") };
            }
            Some(Mood::To(url)) => {
                return head(&mut stream, 302, &format!("Location: {url}\r\nContent-Length: 0\r\n"));
            }
            _ => {}
        }
        if let Some(Mood::Endless) = mood {
            stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
            return (0..1 << 10).try_for_each(|_| stream.write_all(&[b' '; 1 << 16]));
        }
        if path.starts_with("/api/") {
            let body = self.api().to_string();
            head(&mut stream, 200, &format!("Content-Length: {}\r\n", body.len()))?;
            let sent = if let Some(Mood::Cut(bytes)) = mood { bytes } else { body.len() };
            return stream.write_all(&body.as_bytes()[..sent]);
        }
        self.serve_file(stream, &asked, mood)
    }

    fn serve_file(&self, mut stream: TcpStream, asked: &Asked, mood: Option<Mood>) -> std::io::Result<()> {
        let name = decoded(
            asked.path.split_once(&format!("/resolve/{COMMIT}/")).map_or(&asked.path[1..], |(_, name)| name),
        );
        let Some(mut body) = self.inner.lock().unwrap().files.get(&name).cloned() else {
            return head(&mut stream, 404, "X-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n");
        };
        if asked.method == "HEAD" {
            return head(&mut stream, 200, &format!("Content-Length: {}\r\n", body.len()));
        }
        let whole = body.len();
        let from = asked
            .range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let mut from: usize = from.unwrap_or(0);
        if matches!(mood, Some(Mood::NoRanges | Mood::CutNoRanges(_))) {
            from = 0;
        }
        if from >= whole && from > 0 {
            return head(&mut stream, 416, "Content-Length: 0\r\n");
        }
        body.drain(..from);
        let told = if matches!(mood, Some(Mood::WrongRange)) { from / 2 } else { from };
        match mood {
            Some(Mood::Spoilt) => body[0] ^= 1,
            Some(Mood::Long) => body.extend_from_slice(b"more"),
            _ => {}
        }
        let length = format!("Content-Length: {}\r\n", body.len());
        match from {
            0 => head(&mut stream, 200, &length)?,
            _ => head(
                &mut stream,
                206,
                &format!("{length}Content-Range: bytes {told}-{}/{whole}\r\n", whole - 1),
            )?,
        }
        match mood {
            Some(Mood::Cut(bytes) | Mood::CutNoRanges(bytes)) => {
                stream.write_all(&body[..bytes.min(body.len())])
            }
            Some(Mood::Stall(bytes)) => {
                stream.write_all(&body[..bytes])?;
                stream.flush()?;
                while !self.inner.lock().unwrap().going_on {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                stream.write_all(&body[bytes..])
            }
            _ => stream.write_all(&body),
        }
    }

    fn api(&self) -> serde_json::Value {
        let inner = self.inner.lock().unwrap();
        if let Some(list) = &inner.list {
            return list.clone();
        }
        let siblings = inner.files.iter().map(|(path, content)| {
            let size = content.len();
            match inner.large.contains(path) {
                true => json!({ "rfilename": path, "size": size, "blobId": "f".repeat(40),
                                "lfs": { "sha256": sha256(content), "size": size, "pointerSize": 134 } }),
                false => json!({ "rfilename": path, "size": size, "blobId": git_blob(content) }),
            }
        });
        json!({ "id": "org/model-1.5", "sha": COMMIT, "private": false, "siblings": siblings.collect::<Vec<_>>() })
    }
}

fn head(stream: &mut TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}

fn decoded(url: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = url.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = (*first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    sum("sha256sum", content)
}

pub(crate) fn git_blob(content: &[u8]) -> String {
    sum("sha1sum", &[format!("blob {}\0", content.len()).as_bytes(), content].concat())
}

fn sum(command: &str, content: &[u8]) -> String {
    let mut child = Command::new(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
