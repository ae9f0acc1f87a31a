//! Pings: one GET of a health path, and what its outcome says about the server.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::http::uri::PathAndQuery;
use tokio::time::Instant;
use towline_core::lifecycle::{Echo, Tunnel};
use towline_core::ports::Probe;
use towline_core::ready::Ready;

use crate::forward::Forward;
use crate::http::{Asked, Reply, get};
use crate::route::{Cause, Route};
use crate::side::{Found, Miss, Side};

/// How often a cut connection is tried again to learn why. Others that are cut at the same moment blur the answer.
const WATCHES: usize = 10;

/// Why nothing is said of a server whose connection was cut behind a master that the user has started.
const UNKNOWABLE: &str =
    "the connection was cut, and the ssh master, which is your own, keeps no log that tells why";

/// Pings servers over HTTP/1.1, through tunnels of [`crate::SshTunnels`] or directly where a tunnel has no handle.
///
/// What a tunnel does not carry is told apart from what the server did not answer:
///
/// | what happens | echo |
/// |---|---|
/// | a response that passes the service's test: a 2xx, unless that says otherwise | answered |
/// | any other response, or one that is not HTTP | silent |
/// | the place refuses the connection (the master's log says so) | silent |
/// | the connection is made and closed without a response | silent |
/// | no answer in time, and the host behind the master answers | silent |
/// | no answer in time, and that host does not answer either | no route |
/// | the connection is cut, and the master is the user's own, which keeps no log for us | no route |
/// | no master answers, or nothing listens on the local port | no route |
/// | forwarding is prohibited, the place's name does not resolve on the far side, its host is out of reach from there | no route |
///
/// Without a tunnel, refused, reset and silent connections are silence; a host that cannot be reached is no route.
/// A ping ends within its deadline and at most some seconds more for asking why; dropping it leaves nothing behind.
#[derive(Debug)]
pub struct HttpProbe {
    deadline: Duration,
    routes: Mutex<HashMap<String, Arc<Route>>>,
}

impl HttpProbe {
    /// Gives each ping that long, connection included.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, routes: Mutex::default() }
    }

    fn route(&self, control: &str) -> Arc<Route> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(control.to_owned()).or_insert_with(|| Arc::new(Route::new(control))))
    }

    /// Sends one GET of `path` through a forward. As a ping does, and says which side is to blame for anything but a 2xx.
    ///
    /// # Errors
    /// [`Miss`] for whatever else came back, or did not.
    pub async fn look(&self, forward: &Forward, path: &str) -> Result<(), Miss> {
        let Ok(path) = path.parse::<PathAndQuery>() else {
            return Err(Miss { side: Side::ThisMachine, what: bad_path(path) });
        };
        self.ping_through(forward, &Asked { path, ready: &Ready::default() }).await.into_result()
    }

    /// Pings through a forward.
    async fn ping_through(&self, forward: &Forward, asked: &Asked<'_>) -> Found {
        let route = self.route(&forward.control);
        if !route.is_up().await {
            return Found::no_route(Side::ThisMachine, "no ssh master answers");
        }
        let began = Instant::now();
        match self.get_local(forward, asked).await {
            // The same once more, watched: the log is silent about what it is about.
            Reply::Cut(_) => self.ping_watched(&route, forward, asked).await,
            reply => self.read(reply, asked.ready, &route, forward, began).await,
        }
    }

    /// Pings while nobody else of this process asks the same log, and again if other pings were cut meanwhile.
    async fn ping_watched(&self, route: &Route, forward: &Forward, asked: &Asked<'_>) -> Found {
        for _ in 0..WATCHES {
            let watch = route.watch_log().await;
            let began = Instant::now();
            let error = match self.get_local(forward, asked).await {
                Reply::Cut(error) => error,
                reply => {
                    drop(watch);
                    return self.read(reply, asked.ready, route, forward, began).await;
                }
            };
            match watch.cause() {
                Cause::Refused => return Found::Silence(format!("{forward} refused the connection")),
                Cause::OutOfReach(words) => {
                    let from = match &forward.node {
                        Some(node) => format!("node {node}"),
                        None => "the ssh host".to_owned(),
                    };
                    let side = if is_tried(&words) { Side::FarSide } else { Side::SshHost };
                    return Found::no_route(
                        side,
                        format!("{forward} cannot be reached from {from}: {words}"),
                    );
                }
                Cause::Untold if route.is_answered_since(began).await => return Found::Silence(cut(&error)),
                Cause::Untold => {
                    return Found::no_route(Side::SshHost, "the connection to the ssh host broke");
                }
                Cause::Unknowable => return Found::no_route(Side::ThisMachine, UNKNOWABLE),
                Cause::Mixed => {}
            }
        }
        Found::no_route(Side::SshHost, "the connection was cut, and it could not be told why")
    }

    /// Reads any reply through a forward but a cut connection.
    async fn read(
        &self,
        reply: Reply,
        ready: &Ready,
        route: &Route,
        forward: &Forward,
        began: Instant,
    ) -> Found {
        match reply {
            Reply::Answer(_) | Reply::Garbled(_) | Reply::Cut(_) => read_plain(reply, ready, self.deadline),
            Reply::NoConnection(error) => {
                Found::no_route(Side::ThisMachine, format!("local port {}: {error}", forward.local))
            }
            Reply::NeverConnected | Reply::Silence => {
                if route.is_answered_since(began).await {
                    silence(self.deadline)
                } else {
                    Found::no_route(Side::SshHost, "the ssh host does not answer")
                }
            }
        }
    }

    async fn get_local(&self, forward: &Forward, asked: &Asked<'_>) -> Reply {
        get("127.0.0.1", forward.local, asked, self.deadline).await
    }
}

impl Default for HttpProbe {
    /// Gives each ping 5 s.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn ping(&self, tunnel: &Tunnel, path: &str, ready: &Ready) -> Echo {
        let Ok(path) = path.parse::<PathAndQuery>() else {
            return Echo::NoRoute(bad_path(path));
        };
        let asked = Asked { path, ready };
        let Some(handle) = &tunnel.handle else {
            let reply = get(&tunnel.host, tunnel.port, &asked, self.deadline).await;
            return read_plain(reply, ready, self.deadline).into();
        };
        match Forward::from_handle(handle) {
            Ok(forward) => self.ping_through(&forward, &asked).await.into(),
            Err(error) => Echo::NoRoute(format!("the tunnel's handle cannot be read: {error}")),
        }
    }
}

/// Reads a reply that came straight from the server's host.
fn read_plain(reply: Reply, ready: &Ready, deadline: Duration) -> Found {
    match reply {
        Reply::Answer(response) => response.judge(ready).map_or_else(Found::Silence, |()| Found::Answer),
        Reply::NoConnection(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Found::Silence("connection refused".to_owned())
        }
        Reply::NoConnection(error) => Found::no_route(Side::FarSide, format!("no connection: {error}")),
        Reply::NeverConnected => {
            Found::no_route(Side::FarSide, format!("no connection within {} s", deadline.as_secs_f32()))
        }
        Reply::Cut(error) => Found::Silence(cut(&error)),
        Reply::Garbled(error) => Found::Silence(format!("the answer is not HTTP: {error}")),
        Reply::Silence => silence(deadline),
    }
}

fn cut(error: &hyper::Error) -> String {
    format!("the connection was closed without an answer: {error}")
}

fn silence(deadline: Duration) -> Found {
    Found::Silence(format!("no answer within {} s", deadline.as_secs_f32()))
}

fn bad_path(path: &str) -> String {
    format!("{path:?} is no path for a GET")
}

/// Whether the SSH host has tried to connect, by the words of its refusal: it has not if it permits no forwarding, or does
/// not know the name.
fn is_tried(words: &str) -> bool {
    words
        .strip_prefix("connect failed: ")
        .is_some_and(|why| !why.contains("known") && !why.contains("resolution"))
}
