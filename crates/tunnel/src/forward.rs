//! One local forward of one master.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use openssh::{Error, ForwardType, Session, Socket};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::control::check_socket;
use crate::error::SshError;
use crate::mux::{refusal, session};

/// How long a master may take to open or close a forward; it needs no network for that.
const LOCAL_ANSWER: Duration = Duration::from_secs(5);

/// A forward from a port of 127.0.0.1 to a host and port as seen from the host behind a [`Master`](crate::Master). All that
/// is needed to find and close it, in this process or another.
///
/// It belongs to the master: it outlives this value and this process, and ends with the master or when it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The master's control socket.
    pub(crate) control: String,
    /// Local port.
    pub(crate) local: u16,
    /// Host to connect to from the other side.
    pub(crate) host: String,
    /// TCP port there.
    pub(crate) port: u16,
    /// The node, if the master is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
}

/// Why a forward was not opened or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Another program listens on the local port.
    #[error("local port {port} is taken")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// This user may not listen on the local port.
    #[error("local port {port} cannot be listened on")]
    PortRefused {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No local port is free.
    #[error("no free local port was found")]
    NoPort,
    /// That is no place to connect to.
    #[error("{host:?} port {port} is no place to connect to")]
    BadTarget {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
    },
    /// The text is no handle of a forward.
    #[error("the handle of a forward cannot be read")]
    BadHandle(#[source] serde_json::Error),
    /// There is no master, and none could be launched.
    #[error("failed to log in for a forward")]
    Login(#[source] SshError),
    /// The master gave no answer; it may have done it.
    #[error("the ssh master did not do it within {} s", LOCAL_ANSWER.as_secs())]
    Late,
    /// The master refused, or has gone.
    #[error("the ssh master did not do it")]
    Master(#[source] Error),
}

impl Forward {
    /// Reads what [`Self::handle`] wrote.
    ///
    /// # Errors
    /// [`ForwardError::BadHandle`] for any other text.
    pub fn from_handle(handle: &str) -> Result<Self, ForwardError> {
        serde_json::from_str(handle).map_err(ForwardError::BadHandle)
    }

    /// The forward as one line of text, by which any process of this user can close it. Holds no secret.
    pub fn handle(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Opens it; done at once if this very forward is open. If dropped, it may be open.
    pub(crate) async fn open(&self) -> Result<(), ForwardError> {
        self.request().await?;
        // The master takes a forward that it has been asked for before as open, even when its listener was lost.
        if check_port(self.local).is_ok() {
            self.close().await?;
            self.request().await?;
        }
        Ok(())
    }

    async fn request(&self) -> Result<(), ForwardError> {
        let session = self.session()?;
        let request = session.request_port_forward(ForwardType::Local, self.listen(), self.connect());
        match timeout(LOCAL_ANSWER, request).await {
            Ok(Ok(())) => Ok(()),
            // "Port forwarding failed" is all that the master says, whatever the cause.
            Ok(Err(error)) if refusal(&error).is_some() => {
                check_port(self.local)?;
                Err(ForwardError::Master(error))
            }
            Ok(Err(error)) => Err(ForwardError::Master(error)),
            Err(_) => Err(ForwardError::Late),
        }
    }

    /// Closes it: the port is free afterwards, while connections through it live on. Done at once if it is not open
    /// or its master has gone. If dropped, it may be closed.
    ///
    /// # Errors
    /// [`ForwardError::Late`] and [`ForwardError::Master`] if it may still be open.
    pub async fn close(&self) -> Result<(), ForwardError> {
        match self.ask_to_close().await {
            // A master that dies while it is asked is gone when it is asked again.
            Err(ForwardError::Master(error)) if has_gone(&error) => self.ask_to_close().await,
            closed => closed,
        }
    }

    async fn ask_to_close(&self) -> Result<(), ForwardError> {
        let session = self.session()?;
        let request = session.close_port_forward(ForwardType::Local, self.listen(), self.connect());
        match timeout(LOCAL_ANSWER, request).await {
            Ok(Ok(()) | Err(Error::Disconnected)) => Ok(()),
            Ok(Err(error)) if refusal(&error).is_some_and(|words| words.contains("not forwarded")) => Ok(()),
            Ok(Err(error)) => Err(ForwardError::Master(error)),
            Err(_) => Err(ForwardError::Late),
        }
    }

    fn session(&self) -> Result<Session, ForwardError> {
        let control = Path::new(&self.control);
        check_socket(control).map_err(ForwardError::Login)?;
        Ok(session(control))
    }

    fn listen(&self) -> Socket<'static> {
        Socket::new("127.0.0.1", self.local)
    }

    fn connect(&self) -> Socket<'_> {
        // Not from a `SocketAddr`: that puts brackets around IPv6, which the master takes for part of a name.
        Socket::new(self.host.as_str(), self.port)
    }
}

/// Whether a master was not there, or left before it had answered.
pub(crate) fn has_gone(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
            return matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof);
        }
        source = error.source();
    }
    matches!(error, Error::Disconnected)
}

/// Whether nobody listens on a local port and this user may.
pub(crate) fn check_port(port: u16) -> Result<(), ForwardError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ForwardError::PortTaken { port }),
        Err(source) => Err(ForwardError::PortRefused { port, source }),
    }
}

/// A local port that nobody listens on at the moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_tells_the_whole_forward() {
        let forward = Forward {
            control: "/run/t/x.sock".into(),
            local: 20001,
            host: "c\"1".into(),
            port: 8000,
            node: None,
        };
        assert_eq!(Forward::from_handle(&forward.handle()).unwrap(), forward);
        assert!(!forward.handle().contains("node"));
        let by_node = Forward { node: Some("c1".into()), ..forward };
        assert_eq!(Forward::from_handle(&by_node.handle()).unwrap(), by_node);
        assert!(Forward::from_handle("4711").is_err());
    }

    #[test]
    fn a_port_in_use_is_told_from_a_free_one() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(check_port(port), Err(ForwardError::PortTaken { .. })));
        drop(listener);
        assert!(check_port(port).is_ok());
    }

    #[tokio::test]
    async fn without_its_master_a_forward_is_closed() {
        let (control, host) = ("/nonexistent/x.sock".into(), "c1".into());
        let forward = Forward { control, local: 1, host, port: 2, node: None };
        forward.close().await.unwrap();
        assert!(matches!(forward.open().await, Err(ForwardError::Master(Error::Disconnected))));
    }
}
