//! The way to a cluster, as far as this machine can tell by itself.

use std::sync::Arc;

use towline_core::lifecycle::Tunnel;
use towline_tunnel::{Master, SshError, SshTunnels, Standing};

use super::node_tunnels::{Refusal, Refusals};

/// The SSH connection of a profile, if it has one. Looking at it costs the cluster nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    master: Option<Arc<Master>>,
    /// What is known of nodes, where tunnels go through these.
    refusals: Arc<Refusals>,
}

impl Way {
    /// The way by that connection.
    pub(super) fn by(master: Arc<Master>) -> Self {
        Self { master: Some(master), refusals: Arc::default() }
    }

    /// Where it is kept which nodes refuse the login.
    pub(super) fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }

    /// That a node refused the login through which a tunnel should go, and when it may be tried again; `None` once it lets
    /// somebody in.
    pub(crate) fn refusal(&self, node: &str) -> Option<Refusal> {
        self.refusals.of(node)
    }

    /// What is wrong with each of these tunnels, in words; `None` for one that stands.
    pub(crate) async fn broken(&self, tunnels: &[&Tunnel]) -> Vec<Option<&'static str>> {
        let Some(master) = &self.master else { return vec![None; tunnels.len()] };
        let standing = SshTunnels::new(master.clone()).standing(tunnels).await;
        for (tunnel, standing) in tunnels.iter().zip(&standing) {
            if *standing == Standing::Open {
                // Another process was let in.
                self.refusals.forget(&tunnel.place.host);
            }
        }
        let words = standing.into_iter().map(|standing| match standing {
            Standing::Open => None,
            Standing::NoMaster => Some("its ssh master has gone"),
            Standing::MasterHangs => Some("its ssh master does not answer"),
            Standing::NoListener => Some("nothing listens on its local port any more"),
        });
        words.collect()
    }

    /// Whether nothing stands between this machine and the cluster that would have to be opened first.
    pub(crate) async fn is_up(&self) -> bool {
        match &self.master {
            Some(master) => master.is_up().await,
            None => true,
        }
    }

    /// Whether a cluster that was out of reach is back by now. One that is away does not notice that it is asked, and two
    /// seconds tell; one that is back lets somebody in.
    pub(crate) async fn is_back(&self) -> bool {
        match &self.master {
            Some(master) => master.reconnect().await,
            None => false,
        }
    }

    /// Whether nobody is logged in and the last login was refused or took a person, so that somebody has to log in by hand.
    pub(crate) async fn is_refused(&self) -> bool {
        let Some(master) = &self.master else { return false };
        let is_refused =
            master.needs_person() || matches!(master.last_failure(), Some(SshError::Denied { .. }));
        is_refused && !master.is_up().await
    }
}
