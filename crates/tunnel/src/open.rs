//! Forwards for programs that need no more than one.

use std::fmt;

use tokio::runtime::Handle;

use crate::forward::{Forward, ForwardError, check_port, free_port, has_gone};
use crate::master::Master;

/// How often another free port is taken, after another program was quicker to take the one before.
const ATTEMPTS: usize = 3;

impl Master {
    /// Opens a forward from a port of 127.0.0.1 to `host:port`, as the host behind this master names and reaches it. The
    /// local port is `local_port`, or one that is free. A living master is used, or launched first.
    ///
    /// Opening what is open already, with the same local port, finds it. Says nothing about the far end: see
    /// [`HttpProbe::look`](crate::HttpProbe::look). If dropped, what it has just opened is closed again, by a task of the
    /// runtime that it was polled in.
    ///
    /// # Errors
    /// [`ForwardError::Login`] without a master, [`ForwardError::PortTaken`] if another program listens on `local_port`,
    /// which is left alone, [`ForwardError::BadTarget`] for what cannot be connected to.
    pub async fn forward(
        &self,
        host: &str,
        port: u16,
        local_port: Option<u16>,
    ) -> Result<Forward, ForwardError> {
        if host.is_empty() || host.contains('\0') || port == 0 || local_port == Some(0) {
            return Err(ForwardError::BadTarget { host: host.to_owned(), port });
        }
        let wanted = |local, control| Forward { control, local, host: host.to_owned(), port, node: None };
        for attempt in 1..=ATTEMPTS {
            let local = match local_port {
                Some(local) => local,
                None => free_port().map_err(|_| ForwardError::NoPort)?,
            };
            match self.open_anew(&|control| wanted(local, control)).await {
                Err(ForwardError::PortTaken { .. }) if local_port.is_none() && attempt < ATTEMPTS => {}
                opened => return opened,
            }
        }
        Err(ForwardError::NoPort)
    }

    /// Makes sure that a forward is open, on its local port: launches a master if there is none any more, and opens again
    /// what was lost with it. Done at once if nothing was lost. Returns the forward as it is now; what `forward` says of it
    /// holds as long as no other master is used.
    ///
    /// # Errors
    /// Those of [`Self::forward`]; [`ForwardError::PortTaken`] if another program has taken the port meanwhile.
    pub async fn heal(&self, forward: &Forward) -> Result<Forward, ForwardError> {
        self.open_anew(&|control| Forward { control, ..forward.clone() }).await
    }

    /// Opens a forward by way of a master that is there or was a moment ago.
    async fn open_anew(&self, forward: &(dyn Fn(String) -> Forward + Sync)) -> Result<Forward, ForwardError> {
        match self.open_guarded(forward).await {
            Err(ForwardError::Master(error)) if has_gone(&error) => {
                self.forget_ready().await;
                self.open_guarded(forward).await
            }
            opened => opened,
        }
    }

    async fn open_guarded(
        &self,
        forward: &(dyn Fn(String) -> Forward + Sync),
    ) -> Result<Forward, ForwardError> {
        self.make_ready().await.map_err(ForwardError::Login)?;
        // Never closed; were it, the question could still be asked.
        let _permit = self.requests.acquire().await.ok();
        let forward = forward(self.control_path().to_string_lossy().into_owned());
        let guard = Guard::of(&forward);
        forward.open().await?;
        guard.keep();
        Ok(forward)
    }
}

/// Closes a forward whose opening is given up half-way.
struct Guard(Option<Forward>);

impl Guard {
    /// Guards nothing if the local port is in use: what listens there may be this very forward, in use by others.
    fn of(forward: &Forward) -> Self {
        Self(check_port(forward.local).is_ok().then(|| forward.clone()))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (Some(forward), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            if let Err(error) = forward.close().await {
                tracing::warn!(%error, "a forward that was given up may be open");
            }
        });
    }
}

impl Forward {
    /// The local port, on 127.0.0.1.
    pub const fn local_port(&self) -> u16 {
        self.local
    }

    /// The URL of its local end for HTTP, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.local)
    }
}

/// Where it leads, as `host:port`.
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node.as_ref().unwrap_or(&self.host), self.port)
    }
}
