//! Whether a tunnel stands, as far as this machine can tell by itself.

use towline_core::lifecycle::Tunnel;

use crate::forward::{Forward, check_port};
use crate::mux::{Liveness, liveness};
use crate::tunnels::SshTunnels;

/// What is left of a tunnel on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its master answers, and its local port is listened on. Says nothing about the network or the far end.
    Open,
    /// Its master has gone.
    NoMaster,
    /// Its master does not answer: it is stopped, or stuck.
    MasterHangs,
    /// Its master answers, and nobody listens on its local port.
    NoListener,
}

impl SshTunnels {
    /// Looks whether tunnels stand, in their order, with one question to each master and none to the network: cheap enough
    /// to be done every second. A tunnel of another kind counts as open. Never takes longer than 2 s for a master.
    pub async fn standing(&self, tunnels: &[&Tunnel]) -> Vec<Standing> {
        let mut masters: Vec<(String, Liveness)> = Vec::new();
        let mut found = Vec::with_capacity(tunnels.len());
        for tunnel in tunnels {
            let handle = tunnel.handle.as_deref();
            let Some(forward) = handle.and_then(|handle| Forward::from_handle(handle).ok()) else {
                found.push(Standing::Open);
                continue;
            };
            let known = masters.iter().find(|(control, _)| *control == forward.control);
            let master = match known {
                Some((_, master)) => *master,
                None => {
                    let master = liveness(forward.control.as_ref()).await;
                    masters.push((forward.control.clone(), master));
                    master
                }
            };
            found.push(match master {
                Liveness::Gone => Standing::NoMaster,
                Liveness::Hung => Standing::MasterHangs,
                Liveness::Up if check_port(forward.local).is_ok() => Standing::NoListener,
                Liveness::Up => Standing::Open,
            });
        }
        found
    }
}
