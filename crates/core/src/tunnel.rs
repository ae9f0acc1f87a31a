//! A way from this machine to a place inside a cluster.

use serde::{Deserialize, Serialize};

use crate::job::Place;

/// A way to a place from this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tunnel {
    /// Host to connect to: `127.0.0.1` for a forward, the place's own host where no tunnel is needed.
    pub host: String,
    /// TCP port there.
    pub port: u16,
    /// The place that it leads to.
    pub place: Place,
    /// What the adapter needs to close it again; `None` where nothing is held open.
    pub handle: Option<String>,
}

impl Tunnel {
    /// The URL that reaches the service, without a trailing slash.
    pub fn url(&self) -> String {
        if self.host.contains(':') {
            format!("http://[{}]:{}", self.host, self.port)
        } else {
            format!("http://{}:{}", self.host, self.port)
        }
    }
}
