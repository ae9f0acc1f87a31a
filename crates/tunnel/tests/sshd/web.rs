//! Small HTTP servers, well- and ill-behaved, and a plain client.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use towline_core::job::Place;

/// A server on a free port of 127.0.0.1, until it is dropped.
pub(crate) struct Web {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Web {
    /// Answers each connection with these bytes once it has seen a request's head, then closes it.
    pub(crate) async fn saying(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n") && stream.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {}
                let _closed_by_peer = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await
    }

    /// Answers each connection with so many words, one after the other, as servers do that stream what they make.
    pub(crate) async fn streaming(words: usize, pause: Duration) -> Self {
        Self::start(move |mut stream| async move {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") && stream.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {}
            let mut said = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            for _ in 0..words {
                tokio::time::sleep(pause).await;
                said = said.and(stream.write_all(b"event ").await);
            }
            let _closed_by_peer = said;
        })
        .await
    }

    /// Accepts connections and never answers.
    pub(crate) async fn silent() -> Self {
        Self::start(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    async fn start<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Self { port, task }
    }

    pub(crate) fn place(&self) -> Place {
        place(self.port)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn place(port: u16) -> Place {
    Place { host: "127.0.0.1".to_owned(), port, pid: 0, listening: true, loopback: false }
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What a server says to a GET, sent by nothing of this crate.
pub(crate) async fn fetch(port: u16) -> std::io::Result<String> {
    let fetch = move || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
    };
    tokio::task::spawn_blocking(fetch).await.unwrap()
}
