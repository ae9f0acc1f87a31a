//! Tunnels: local ports that lead to places inside a cluster.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::SemaphorePermit;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::Tunnel;
use towline_core::ports::{TunnelError, Tunnels};

use crate::error::SshError;
use crate::forward::{Forward, ForwardError, check_port, free_port, has_gone};
use crate::master::Master;
use crate::node::{Node, Nodes, Unready};
use crate::uses::Uses;

/// First local port that is chosen for a service, and how many there are from there. Below the ports which the
/// kernels of Linux (from 32768) and macOS (from 49152) give to outgoing connections, so that a port that is
/// closed for a while is not taken by chance.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_768;

/// Opens forwards on 127.0.0.1 through a [`Master`], or through masters to the nodes of places by way of that one.
///
/// A forward belongs to its master's process: it outlives this one, and it ends with the master.
#[derive(Clone, Debug)]
pub struct SshTunnels {
    pub(crate) master: Arc<Master>,
    nodes: Arc<Nodes>,
    by_nodes: bool,
}

impl SshTunnels {
    /// Opens tunnels through that master, which is launched when it is first needed.
    pub fn new(master: Arc<Master>) -> Self {
        let nodes = Arc::new(Nodes::new(Arc::clone(&master)));
        Self { master, nodes, by_nodes: false }
    }

    /// Opens each tunnel through a second login, to the host of its place, by way of that master: where the login host
    /// forwards nothing, or where a server listens on the loopback interface of its node.
    ///
    /// It is the user's own `ssh` to that host, by their configuration for its name, and what they say of the login host
    /// where they say nothing of the node: who they are, and in which files host keys are looked up. One such login
    /// serves all tunnels to a node. It ends with the last of them, and with the login host's.
    pub fn by_way_of_nodes(master: Arc<Master>) -> Self {
        Self { by_nodes: true, ..Self::new(master) }
    }

    /// A forward through the login host's master.
    fn forward(&self, local: u16, place: &Place) -> Forward {
        Forward {
            control: control(&self.master),
            local,
            host: place.host.clone(),
            port: place.port,
            node: None,
        }
    }

    /// Makes sure that the master is there, and takes the right to ask it for something.
    pub(crate) async fn ready(&self) -> Result<SemaphorePermit<'_>, TunnelError> {
        self.master.make_ready().await.map_err(launch_failure)?;
        permit(&self.master).await
    }

    /// Opens the tunnel, by way of masters that are there or were a moment ago.
    async fn open_once(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let former = before.and_then(former_forward);
        let wanted = local_port.filter(|port| *port != 0).or(former.as_ref().map(|forward| forward.local));
        let forward = match self.by_nodes {
            true => self.open_by_node(id, place, wanted, former).await?,
            false => self.open_by_login(id, place, wanted, former).await?,
        };
        let (host, handle) = ("127.0.0.1".to_owned(), Some(forward.handle()));
        Ok(Tunnel { host, port: forward.local, place: place.clone(), handle })
    }

    async fn open_by_login(
        &self,
        id: ServiceId,
        place: &Place,
        wanted: Option<u16>,
        former: Option<Forward>,
    ) -> Result<Forward, TunnelError> {
        let _permit = self.ready().await?;
        let leads_there = |former: &Forward| wanted.is_some_and(|port| *former == self.forward(port, place));
        if let Some(former) = former.filter(|former| !leads_there(former)) {
            self.leave(&former, &control(&self.master)).await?;
        }
        open_on(id, wanted, |port| self.forward(port, place), None).await
    }

    async fn open_by_node(
        &self,
        id: ServiceId,
        place: &Place,
        wanted: Option<u16>,
        former: Option<Forward>,
    ) -> Result<Forward, TunnelError> {
        let node = self.nodes.node(&place.host).map_err(launch_failure)?;
        self.nodes.make_ready(&node).await.map_err(unready)?;
        let control = control(&node.master);
        let forward = |local| Forward {
            control: control.clone(),
            local,
            host: as_seen_there(&place.host),
            port: place.port,
            node: Some(place.host.clone()),
        };
        let leads_there = |former: &Forward| wanted.is_some_and(|port| *former == forward(port));
        let mut former = former.filter(|former| !leads_there(former));
        if let Some(former) = former.take_if(|former| former.control != control) {
            self.leave(&former, &control).await?;
        }
        let _turn = node.turn.lock().await;
        let mut uses = self.hold(&node).await?;
        let _permit = permit(&node.master).await?;
        if let Some(former) = former {
            former.close().await.map_err(failure)?;
            uses.remove(former.local).map_err(failed)?;
        }
        open_on(id, wanted, forward, Some(&mut uses)).await
    }

    /// Closes what a tunnel was before, whatever master `control` is that it goes through now.
    async fn leave(&self, former: &Forward, control: &str) -> Result<(), TunnelError> {
        match self.shut(former).await {
            // Another master than the one that is used now, perhaps one that hangs and is not ours to end.
            Err(error) if former.control != control => {
                tracing::warn!(%error, "a forward of a former master was not closed");
                Ok(())
            }
            closed => closed,
        }
    }

    /// Closes a forward, and the master of its node if nothing leads through that any more.
    async fn shut(&self, forward: &Forward) -> Result<(), TunnelError> {
        let of_node = forward.node.as_deref().and_then(|node| self.nodes.node(node).ok());
        let is_ours = |node: &Arc<Node>| node.master.files.socket == Path::new(&forward.control);
        let Some(node) = of_node.filter(is_ours) else { return forward.close().await.map_err(failure) };
        let _turn = node.turn.lock().await;
        if !node.master.files.socket.exists() {
            return Ok(());
        }
        let mut uses = self.hold(&node).await?;
        forward.close().await.map_err(failure)?;
        uses.remove(forward.local).map_err(failed)?;
        if uses.is_over(|port| check_port(port).is_err())
            && let Err(error) = node.master.stop().await
        {
            tracing::warn!(%error, node = node.master.host(), "failed to end the ssh master of a node");
        }
        Ok(())
    }

    async fn hold(&self, node: &Node) -> Result<Uses, TunnelError> {
        Uses::hold(&node.master.files.socket, self.master.connect_timeout()).await.map_err(failed)
    }

    /// Forgets that masters were found alive.
    async fn forget_ready(&self, place: &Place) {
        self.master.forget_ready().await;
        if let (true, Ok(node)) = (self.by_nodes, self.nodes.node(&place.host)) {
            node.master.forget_ready().await;
        }
    }
}

/// Opens a forward on the wanted port, or on the first of the service's that is free.
async fn open_on(
    id: ServiceId,
    wanted: Option<u16>,
    forward: impl Fn(u16) -> Forward,
    mut uses: Option<&mut Uses>,
) -> Result<Forward, TunnelError> {
    if let Some(port) = wanted {
        return open_listed(forward(port), uses).await;
    }
    for port in own_ports(id).into_iter().chain(free_port()).chain(free_port()) {
        match open_listed(forward(port), uses.as_deref_mut()).await {
            Err(TunnelError::PortTaken { .. }) => {}
            tried => return tried,
        }
    }
    Err(TunnelError::Failed("no free local port was found".into()))
}

/// Opens a forward, which is in the list of its master's before it is open.
async fn open_listed(forward: Forward, uses: Option<&mut Uses>) -> Result<Forward, TunnelError> {
    let Some(uses) = uses else {
        forward.open().await.map_err(failure)?;
        return Ok(forward);
    };
    let is_new = uses.add(forward.local).map_err(failed)?;
    if let Err(error) = forward.open().await {
        if is_new {
            uses.remove(forward.local).map_err(failed)?;
        }
        return Err(failure(error));
    }
    Ok(forward)
}

/// A place's own host as that host itself sees it. An address is where the server listens, and nowhere else. Not the name
/// "localhost": that may be `::1` first, where another user's program may listen on the same port.
fn as_seen_there(host: &str) -> String {
    if host.parse::<IpAddr>().is_ok() { host.to_owned() } else { Ipv4Addr::LOCALHOST.to_string() }
}

/// The control socket as text: `ControlFiles` takes UTF-8 paths only, and so does whoever reads what `ssh -G` prints.
fn control(master: &Master) -> String {
    master.control_path().to_string_lossy().into_owned()
}

async fn permit(master: &Master) -> Result<SemaphorePermit<'_>, TunnelError> {
    master.requests.acquire().await.map_err(|closed| TunnelError::Failed(closed.into()))
}

fn failed(error: io::Error) -> TunnelError {
    TunnelError::Failed(error.into())
}

#[async_trait]
impl Tunnels for SshTunnels {
    /// See the trait. Without a wanted port the service's own come first, which follow from its id: a tunnel that was
    /// opened and not recorded is found again by opening it once more.
    ///
    /// Sources of the errors are [`SshError`]s where the master is at fault.
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        if place.host.is_empty() || place.host.contains('\0') || place.port == 0 {
            let problem = format!("{:?} port {} is no place to connect to", place.host, place.port);
            return Err(TunnelError::Failed(problem.into()));
        }
        match self.open_once(id, place, local_port, before).await {
            Err(error) if is_of_gone_master(&error) => {
                self.forget_ready(place).await;
                self.open_once(id, place, local_port, before).await
            }
            opened => opened,
        }
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        let Some(handle) = &tunnel.handle else { return Ok(()) };
        let forward = Forward::from_handle(handle).map_err(|error| TunnelError::Failed(error.into()))?;
        let _permit = permit(&self.master).await?;
        self.shut(&forward).await
    }
}

/// The forward behind a tunnel of ours; `None` for one without, or of another kind.
fn former_forward(tunnel: &Tunnel) -> Option<Forward> {
    Forward::from_handle(tunnel.handle.as_deref()?).ok()
}

/// The ports that a service tries first, in order.
fn own_ports(id: ServiceId) -> [u16; 4] {
    let number = id.uuid().as_u128();
    [0, 1, 2, 3].map(|n| {
        let part = (number >> (32 * n)) as u32 ^ (number >> (32 * ((n + 3) % 4))) as u32;
        FIRST_PORT + (part % u32::from(PORTS)) as u16
    })
}

pub(crate) fn failure(error: ForwardError) -> TunnelError {
    match error {
        ForwardError::PortTaken { port } => TunnelError::PortTaken { port },
        other => TunnelError::Failed(other.into()),
    }
}

/// Whether nothing listened on the control socket when the master was asked for the forward.
fn is_of_gone_master(error: &TunnelError) -> bool {
    let TunnelError::Failed(source) = error else { return false };
    matches!(source.downcast_ref(), Some(ForwardError::Master(error)) if has_gone(error))
}

/// Why no master is there.
fn unready(error: Unready) -> TunnelError {
    match error {
        Unready::Login(error) => launch_failure(error),
        Unready::Node(error) if is_lasting(&error.source) => TunnelError::Failed(error.into()),
        Unready::Node(error) => TunnelError::Unreachable(error.into()),
    }
}

/// A login that failed for want of an answer is not one that could never work.
fn launch_failure(error: SshError) -> TunnelError {
    if is_lasting(&error) {
        TunnelError::Failed(error.into())
    } else {
        TunnelError::Unreachable(error.into())
    }
}

fn is_lasting(error: &SshError) -> bool {
    matches!(
        error,
        SshError::NoProgram(_)
            | SshError::BadName { .. }
            | SshError::ControlPathTooLong { .. }
            | SshError::ControlDir { .. }
            | SshError::Files { .. }
            | SshError::Config { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_a_service_are_its_own_and_in_range() {
        let id = |text: &str| text.parse::<ServiceId>().unwrap();
        let one = own_ports(id("0199aaaa-0000-7000-8000-000000000001"));
        assert_eq!(one, own_ports(id("0199aaaa-0000-7000-8000-000000000001")));
        assert_ne!(one[0], own_ports(id("0199aaaa-0000-7000-8000-000000000002"))[0]);
        for port in own_ports(id("ffffffff-ffff-ffff-ffff-ffffffffffff")).into_iter().chain(one) {
            assert!((FIRST_PORT..FIRST_PORT + PORTS).contains(&port), "{port}");
        }
    }
}
