//! The simulated network between this machine and the cluster: forwards, ports, and who listens where.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::ServiceId;
use crate::job::Place;
use crate::lifecycle::Tunnel;
use crate::ports::TunnelError;

/// The first local port that is chosen for a service.
const FIRST_PORT: u16 = 40_000;

#[derive(Debug, Default)]
pub(super) struct Network {
    /// How many forwards were opened.
    opened: u64,
    /// By local port.
    forwards: BTreeMap<u16, Forward>,
    /// The port that each service tries first; it follows from the service, so that a forward that was opened and not
    /// recorded is found again.
    own_ports: BTreeMap<ServiceId, u16>,
    /// Local ports on which other programs listen.
    pub(super) taken: BTreeSet<u16>,
    /// Where on the cluster other programs listen, and answer.
    pub(super) strangers: BTreeSet<(String, u16)>,
}

#[derive(Debug)]
struct Forward {
    serial: u64,
    service: ServiceId,
    place: Place,
}

impl Network {
    /// Opens a forward, or finds it: as the SSH adapter does, by the local port and the place alone.
    pub(super) fn open(
        &mut self,
        service: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let before = before.filter(|before| before.handle.is_some());
        let wanted = local_port.or(before.map(|before| before.port));
        if let Some(before) = before
            && !(wanted == Some(before.port) && before.place.is_same_address(place))
        {
            self.close(before);
        }
        let port = match wanted {
            Some(port) => port,
            None => self.free_port(service, place).ok_or_else(no_port)?,
        };
        let is_free = !self.taken.contains(&port);
        match self.forwards.get(&port) {
            Some(forward) if !forward.place.is_same_address(place) => {
                return Err(TunnelError::PortTaken { port });
            }
            Some(_) => {}
            None if is_free => {
                self.opened += 1;
                let forward = Forward { serial: self.opened, service, place: place.clone() };
                self.forwards.insert(port, forward);
            }
            None => return Err(TunnelError::PortTaken { port }),
        }
        let found =
            self.forwards.get(&port).map(|forward| Tunnel { place: place.clone(), ..forward.tunnel(port) });
        found.ok_or_else(no_port)
    }

    /// The service's own port, or another that is free.
    fn free_port(&mut self, service: ServiceId, place: &Place) -> Option<u16> {
        let in_use = |port: &u16| self.own_ports.values().any(|own| own == port);
        let own = self.own_ports.get(&service).copied();
        let own = own.or_else(|| (FIRST_PORT..).find(|port| !in_use(port)))?;
        self.own_ports.insert(service, own);
        let usable = |port: &u16| match self.forwards.get(port) {
            Some(forward) => forward.place.is_same_address(place),
            None => !self.taken.contains(port),
        };
        let others = (FIRST_PORT + 1000..).filter(|port| !self.forwards.contains_key(port));
        std::iter::once(own).chain(others).find(usable)
    }

    pub(super) fn close(&mut self, tunnel: &Tunnel) {
        let leads_there = |forward: &Forward| forward.place.is_same_address(&tunnel.place);
        if tunnel.handle.is_some() && self.forwards.get(&tunnel.port).is_some_and(leads_there) {
            self.forwards.remove(&tunnel.port);
        }
    }

    /// All forwards end, as with the process that holds them.
    pub(super) fn drop_all(&mut self) {
        self.forwards.clear();
    }

    /// Where a local port leads.
    pub(super) fn place_behind(&self, port: u16) -> Option<&Place> {
        self.forwards.get(&port).map(|forward| &forward.place)
    }

    /// The open forwards, and for which services they were opened.
    pub(super) fn open_tunnels(&self) -> impl Iterator<Item = (ServiceId, Tunnel)> {
        self.forwards.iter().map(|(port, forward)| (forward.service, forward.tunnel(*port)))
    }
}

impl Forward {
    fn tunnel(&self, port: u16) -> Tunnel {
        let Place { host, port: there, .. } = &self.place;
        let handle = Some(format!("{}: {port} to {host}:{there}", self.serial));
        Tunnel { host: "127.0.0.1".into(), port, place: self.place.clone(), handle }
    }
}

fn no_port() -> TunnelError {
    TunnelError::Failed("no free local port was found".into())
}
