//! One GET over one connection.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What came of it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A response's head.
    Status(StatusCode),
    /// The address cannot be connected to.
    NoConnection(io::Error),
    /// Neither connection nor refusal in time.
    NeverConnected,
    /// The connection was made, and closed or reset before a response came.
    Cut(hyper::Error),
    /// What came is not HTTP.
    Garbled(hyper::Error),
    /// The connection was made and nothing came in time.
    Silence,
}

/// Sends one GET and waits, up to `within` in all, for the head of the response. The body is not read.
pub(crate) async fn get(host: &str, port: u16, path: &PathAndQuery, within: Duration) -> Reply {
    let until = Instant::now() + within;
    let stream = match timeout_at(until, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Reply::NoConnection(error),
        Err(_) => return Reply::NeverConnected,
    };
    match timeout_at(until, exchange(stream, host, port, path)).await {
        Ok(Ok(status)) => Reply::Status(status),
        Ok(Err(error)) if error.is_parse() => Reply::Garbled(error),
        Ok(Err(error)) => Reply::Cut(error),
        Err(_) => Reply::Silence,
    }
}

async fn exchange(
    stream: TcpStream,
    host: &str,
    port: u16,
    path: &PathAndQuery,
) -> Result<StatusCode, hyper::Error> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.clone().into();
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let headers = request.headers_mut();
    if let Ok(authority) = authority.try_into() {
        headers.insert(header::HOST, authority);
    }
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Driven here rather than by a task, so that nothing is left when this future is dropped.
    let mut connection = pin!(connection);
    let mut response = pin!(sender.send_request(request));
    let mut closed = false;
    std::future::poll_fn(|context| {
        if !closed {
            closed = connection.as_mut().poll(context).is_ready();
        }
        response.as_mut().poll(context)
    })
    .await
    .map(|response| response.status())
}
