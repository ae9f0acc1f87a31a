//! The contract of tunnels: kept by the simulated world, and broken by tunnels with one flaw each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::{Echo, Tunnel};
use towline_core::ports::{Clock as _, Probe as _, Scheduler as _, Subject, TunnelError, Tunnels};
use towline_core::ready::Ready;
use towline_core::testing::{Faults, TunnelsBench, World, sample_service, tunnels_contract};

use crate::complaint;

/// What is wrong with tunnels that are good otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Leads wherever it led before.
    StaysWhereItLed,
    /// Leaves the former tunnel open where another port is asked for.
    LeavesTheFormer,
    /// Chooses a port as it likes.
    IgnoresWantedPorts,
    /// Takes another port where the wanted one is taken.
    YieldsSilently,
    /// Takes a port from another service.
    StealsPorts,
    /// Closes whatever is open at that port.
    ClosesByPort,
    /// Takes the closing of what is not open for a mistake.
    ClosesOnce,
    /// Says that it has closed what it has not.
    ClosesNothing,
    /// Calls a cluster out of reach a failure.
    BlamesItself,
    /// Returns a tunnel although there is none.
    HidesFailures,
}

/// Each flaw, and the words by which the contract finds it.
const FOUND: [(Flaw, &str); 10] = [
    (Flaw::StaysWhereItLed, "leads"),
    (Flaw::LeavesTheFormer, "the former port is free"),
    (Flaw::IgnoresWantedPorts, "the port that was asked for"),
    (Flaw::YieldsSilently, "is another program's"),
    (Flaw::StealsPorts, "is another program's"),
    (Flaw::ClosesByPort, "leads"),
    (Flaw::ClosesOnce, "a tunnel closes"),
    (Flaw::ClosesNothing, "a closed tunnel frees its port"),
    (Flaw::BlamesItself, "a cluster that cannot be reached is told as such"),
    (Flaw::HidesFailures, "is another program's"),
];

/// The world's tunnels, spoilt by one flaw or none.
struct Spoilt {
    world: Arc<World>,
    flaw: Option<Flaw>,
}

impl Spoilt {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

#[async_trait]
impl Tunnels for Spoilt {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let wanted = local_port.or(before.map(|before| before.port));
        let opened = match self.flaw {
            Some(Flaw::StaysWhereItLed) if before.is_some() => {
                let former = before.unwrap();
                let still = self.world.open(id, &former.place, local_port, before).await?;
                Ok(Tunnel { place: place.clone(), ..still })
            }
            Some(Flaw::LeavesTheFormer) if wanted != before.map(|before| before.port) => {
                self.world.open(id, place, local_port, None).await
            }
            Some(Flaw::IgnoresWantedPorts) => self.world.open(id, place, None, before).await,
            Some(Flaw::StealsPorts) => {
                let stolen = self
                    .world
                    .tunnels()
                    .into_iter()
                    .find(|(owner, open)| Some(open.port) == wanted && *owner != id);
                if stolen.is_some() {
                    self.world.drop_tunnels();
                }
                self.world.open(id, place, local_port, before).await
            }
            _ => self.world.open(id, place, local_port, before).await,
        };
        match opened {
            Err(TunnelError::PortTaken { .. }) if self.has(Flaw::YieldsSilently) => {
                self.world.open(id, place, None, None).await
            }
            Err(TunnelError::PortTaken { port }) if self.has(Flaw::HidesFailures) => Ok(Tunnel {
                host: "127.0.0.1".to_owned(),
                port,
                place: place.clone(),
                handle: Some(String::new()),
            }),
            Err(TunnelError::Unreachable(source)) if self.has(Flaw::BlamesItself) => {
                Err(TunnelError::Failed(source))
            }
            opened => opened,
        }
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        let is_open = self.world.tunnels().iter().any(|(_, open)| open.port == tunnel.port);
        match self.flaw {
            Some(Flaw::ClosesNothing) => Ok(()),
            Some(Flaw::ClosesOnce) if !is_open => Err(TunnelError::Failed("it is not open".into())),
            Some(Flaw::ClosesByPort) => {
                self.world.drop_tunnels();
                Ok(())
            }
            _ => self.world.close(tunnel).await,
        }
    }
}

/// The world, its tunnels, and servers to lead them to.
struct WorldBench {
    tunnels: Arc<Spoilt>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: u32,
    servers: Vec<(ServiceId, Place)>,
    taken: BTreeSet<u16>,
}

impl WorldBench {
    fn new(flaw: Option<Flaw>) -> Self {
        Self { tunnels: Arc::new(Spoilt { world: World::new(), flaw }), state: Mutex::default() }
    }

    fn world(&self) -> &World {
        &self.tunnels.world
    }

    /// Runs the contract, which takes no real time.
    fn keeps_the_contract(flaw: Option<Flaw>) -> Vec<&'static str> {
        tunnels_contract(&Self::new(flaw)).now_or_never().expect("a simulated world never waits")
    }
}

#[async_trait]
impl TunnelsBench for WorldBench {
    fn tunnels(&self) -> Arc<dyn Tunnels> {
        Arc::clone(&self.tunnels) as _
    }

    fn new_id(&self) -> ServiceId {
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        sample_service(state.count, "contract").id
    }

    async fn place(&self) -> Place {
        let (id, world) = (self.new_id(), self.world());
        let job = world.submit(id, &sample_service(1, "contract").spec).await.unwrap();
        world.advance(Duration::from_secs(60));
        let subject = Subject { id, job: Some(job), created_at: world.now() };
        let mut survey = world.survey(&[subject]).await.unwrap();
        let place = survey.sightings.remove(&id).unwrap().place.unwrap();
        self.state.lock().unwrap().servers.push((id, place.clone()));
        place
    }

    async fn reaches(&self, _host: &str, port: u16) -> Option<Place> {
        let servers = self.state.lock().unwrap().servers.clone();
        let (_, any) = servers.first().cloned()?;
        let tunnel = Tunnel { host: "127.0.0.1".to_owned(), port, place: any, handle: None };
        // Whoever answers no more, once it is made silent, is who answered.
        for (id, place) in servers {
            let before = self.world().ping(&tunnel, "/", &Ready::default()).await;
            self.world().hush(id, true);
            let after = self.world().ping(&tunnel, "/", &Ready::default()).await;
            self.world().hush(id, false);
            if before == Echo::Answered && after != Echo::Answered {
                return Some(place);
            }
        }
        None
    }

    async fn free_port(&self) -> u16 {
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        50_000 + u16::try_from(state.count).unwrap()
    }

    async fn take_port(&self, port: u16) {
        self.state.lock().unwrap().taken.insert(port);
        self.world().take_local_port(port);
    }

    async fn is_taken(&self, address: &str, port: u16) -> bool {
        let has_tunnel = self.world().tunnels().iter().any(|(_, open)| open.port == port);
        address == "127.0.0.1" && (has_tunnel || self.state.lock().unwrap().taken.contains(&port))
    }

    async fn open_tunnels(&self) -> usize {
        self.world().open_tunnels()
    }

    async fn cut(&self) -> bool {
        self.world().break_down(Faults { network_down: true, ..Faults::default() });
        self.world().drop_tunnels();
        true
    }

    async fn mend(&self) {
        self.world().break_down(Faults::default());
    }
}

#[test]
fn the_simulated_world_keeps_the_contract_of_tunnels() {
    assert_eq!(WorldBench::keeps_the_contract(None), Vec::<&str>::new());
}

#[test]
fn each_broken_promise_of_tunnels_is_found() {
    let missed: Vec<_> = FOUND
        .iter()
        .map(|(flaw, words)| (flaw, words, complaint(|| WorldBench::keeps_the_contract(Some(*flaw)))))
        .filter(|(_, words, complaint)| !complaint.contains(*words))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
