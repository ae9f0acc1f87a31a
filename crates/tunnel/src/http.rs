//! One GET over one connection.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use towline_core::ready::{Answer, Ready};

/// More than the body of any answer to a ping has, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A response, as far as it was wanted.
    Answer(Response),
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

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    /// Empty if it was not wanted, or why it could not be read.
    body: Result<Bytes, String>,
}

impl Response {
    /// Whether the server is ready by it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(&self, ready: &Ready) -> Result<(), String> {
        let answer = |body| Answer { status: self.status, headers: &self.headers, body };
        match &self.body {
            Ok(body) => ready.judge(answer(body)),
            Err(why) => {
                Ready { json: None, ..ready.clone() }.judge(answer(&[]))?;
                Err(format!("not ready: its answer could not be read: {why}"))
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    /// The path.
    pub(crate) path: PathAndQuery,
    /// What an answer must be.
    pub(crate) ready: &'a Ready,
}

/// Sends one GET and waits, up to `within` in all, for the head of the response, and for its body if that is to be judged.
pub(crate) async fn get(host: &str, port: u16, asked: &Asked<'_>, within: Duration) -> Reply {
    let until = Instant::now() + within;
    let stream = match timeout_at(until, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Reply::NoConnection(error),
        Err(_) => return Reply::NeverConnected,
    };
    match timeout_at(until, exchange(stream, host, port, asked)).await {
        Ok(Ok(response)) => Reply::Answer(response),
        Ok(Err(error)) if error.is_parse() => Reply::Garbled(error),
        Ok(Err(error)) => Reply::Cut(error),
        Err(_) => Reply::Silence,
    }
}

async fn exchange(
    stream: TcpStream,
    host: &str,
    port: u16,
    asked: &Asked<'_>,
) -> Result<Response, hyper::Error> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = asked.path.clone().into();
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let headers = request.headers_mut();
    if let Ok(authority) = authority.try_into() {
        headers.insert(header::HOST, authority);
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Driven here rather than by a task, so that nothing is left when this future is dropped.
    let mut connection = pin!(connection);
    let mut response = pin!(async { Ok(read(sender.send_request(request).await?, asked.ready).await) });
    let mut closed = false;
    std::future::poll_fn(|context| {
        if !closed {
            closed = connection.as_mut().poll(context).is_ready();
        }
        response.as_mut().poll(context)
    })
    .await
}

async fn read(response: hyper::Response<Incoming>, ready: &Ready) -> Response {
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = match ready.reads_body() {
        true => Limited::new(response.into_body(), LONGEST_BODY).collect().await,
        false => return Response { status, headers, body: Ok(Bytes::new()) },
    };
    Response { status, headers, body: body.map(Collected::to_bytes).map_err(|error| error.to_string()) }
}
