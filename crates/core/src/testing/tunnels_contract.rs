//! What all tunnels must keep, as a test that any implementation can run.

use std::sync::Arc;

use super::break_off::break_off;
use super::tunnels_bench::TunnelsBench;
use crate::id::ServiceId;
use crate::job::Place;
use crate::lifecycle::Tunnel;
use crate::ports::{TunnelError, Tunnels};

/// How often an opening is polled before it is dropped.
const POLLS: [u32; 5] = [1, 2, 3, 5, 8];

/// Runs the contract of [`Tunnels`] on those that `bench` has. Needs no runtime of its own; whatever the tunnels need
/// (a reactor, say) is the caller's.
///
/// Returns the promises that could not be tested: those for which the bench has no means, and, where places are reached
/// without anything being held open, those about local ports.
///
/// # Panics
/// At the first promise that is not kept.
#[must_use = "what could not be tested is not promised"]
pub async fn tunnels_contract(bench: &dyn TunnelsBench) -> Vec<&'static str> {
    const OWN_PORTS: &str = "local ports are kept, freed, and left to others";
    const OUT_OF_REACH: &str = "a cluster out of reach is told as such";
    let is_held_open = a_tunnel_leads_to_its_place(bench).await;
    done_twice_is_done_once(bench).await;
    a_place_that_moves_is_followed(bench).await;
    what_was_half_opened_is_found(bench).await;
    if !is_held_open {
        return vec![OWN_PORTS, OUT_OF_REACH];
    }
    a_wanted_port_is_kept(bench).await;
    a_taken_port_is_left_alone(bench).await;
    closing_ends_one_tunnel_alone(bench).await;
    if out_of_reach_is_told(bench).await { Vec::new() } else { vec![OUT_OF_REACH] }
}

/// A service with a tunnel to somewhere.
struct Way<'a> {
    bench: &'a dyn TunnelsBench,
    tunnels: Arc<dyn Tunnels>,
    id: ServiceId,
}

impl<'a> Way<'a> {
    fn new(bench: &'a dyn TunnelsBench) -> Self {
        Self { bench, tunnels: bench.tunnels(), id: bench.new_id() }
    }

    /// Opens a tunnel, which must lead to `place`.
    async fn open(&self, place: &Place, port: Option<u16>, before: Option<&Tunnel>) -> Tunnel {
        let opened = self.tunnels.open(self.id, place, port, before).await;
        let tunnel = opened.unwrap_or_else(|error| panic!("a tunnel to {place:?} opens, not {error:?}"));
        assert_eq!(tunnel.place, *place, "a tunnel tells its place");
        self.leads_to(&tunnel, Some(place)).await;
        tunnel
    }

    async fn leads_to(&self, tunnel: &Tunnel, place: Option<&Place>) {
        let reached = self.bench.reaches(&tunnel.host, tunnel.port).await;
        assert_eq!(reached.as_ref(), place, "where {tunnel:?} leads");
    }

    /// Closes a tunnel, after which nothing is left of it.
    async fn close(&self, tunnel: &Tunnel) {
        let closed = self.tunnels.close(tunnel).await;
        closed.unwrap_or_else(|error| panic!("a tunnel closes, not {error:?}"));
        if tunnel.handle.is_some() {
            assert!(!self.bench.is_taken(&tunnel.host, tunnel.port).await, "a closed tunnel frees its port");
        }
    }

    /// Makes sure that the port is taken, by its number.
    async fn finds_taken(&self, place: &Place, port: Option<u16>, before: Option<&Tunnel>, taken: u16) {
        match self.tunnels.open(self.id, place, port, before).await {
            Err(TunnelError::PortTaken { port }) => assert_eq!(port, taken, "the port that is taken"),
            other => panic!("port {taken} is another program's: {other:?}"),
        }
    }
}

async fn has_open(bench: &dyn TunnelsBench, count: usize) {
    assert_eq!(bench.open_tunnels().await, count, "open tunnels");
}

/// Also says whether anything is held open for it.
async fn a_tunnel_leads_to_its_place(bench: &dyn TunnelsBench) -> bool {
    let (way, place) = (Way::new(bench), bench.place().await);
    let tunnel = way.open(&place, None, None).await;
    let is_held_open = tunnel.handle.is_some();
    if is_held_open {
        let is_loopback = ["127.0.0.1", "::1", "localhost"].contains(&tunnel.host.as_str());
        assert!(is_loopback, "a tunnel begins on this machine alone: {tunnel:?}");
        assert!(!bench.is_taken("127.0.0.2", tunnel.port).await, "and listens at that address alone");
    } else {
        assert_eq!((&tunnel.host, tunnel.port), (&place.host, place.port), "the way is the place itself");
    }
    has_open(bench, usize::from(is_held_open)).await;
    way.close(&tunnel).await;
    has_open(bench, 0).await;
    is_held_open
}

async fn done_twice_is_done_once(bench: &dyn TunnelsBench) {
    let (way, place) = (Way::new(bench), bench.place().await);
    let tunnel = way.open(&place, None, None).await;
    let other = Way { bench, tunnels: bench.tunnels(), id: way.id };
    for program in [&way, &other] {
        assert_eq!(program.open(&place, None, None).await, tunnel, "an unrecorded tunnel is found again");
        assert_eq!(program.open(&place, None, Some(&tunnel)).await, tunnel, "a recorded one as well");
        let port = tunnel.handle.as_ref().map(|_| tunnel.port);
        assert_eq!(program.open(&place, port, Some(&tunnel)).await, tunnel, "and by its port");
    }
    has_open(bench, usize::from(tunnel.handle.is_some())).await;
    other.close(&tunnel).await;
    way.close(&tunnel).await;
    has_open(bench, 0).await;
}

async fn a_place_that_moves_is_followed(bench: &dyn TunnelsBench) {
    let way = Way::new(bench);
    let mut tunnel = way.open(&bench.place().await, None, None).await;
    let is_held_open = tunnel.handle.is_some();
    for is_port_asked_for in [false, true] {
        let place = bench.place().await;
        let port = Some(tunnel.port).filter(|_| is_port_asked_for);
        let moved = way.open(&place, port, Some(&tunnel)).await;
        if is_held_open {
            assert_eq!(moved.port, tunnel.port, "the local port stays");
            has_open(bench, 1).await;
            way.tunnels.close(&tunnel).await.expect("what is not open any more is closed");
            way.leads_to(&moved, Some(&place)).await;
        }
        tunnel = moved;
    }
    way.close(&tunnel).await;
    has_open(bench, 0).await;
}

async fn what_was_half_opened_is_found(bench: &dyn TunnelsBench) {
    for polls in POLLS {
        let (way, place, next) = (Way::new(bench), bench.place().await, bench.place().await);
        drop(break_off(way.tunnels.open(way.id, &place, None, None), polls).await);
        let tunnel = way.open(&place, None, None).await;
        let is_held_open = tunnel.handle.is_some();
        has_open(bench, usize::from(is_held_open)).await;
        // The same while it is led elsewhere, and closed.
        drop(break_off(way.tunnels.open(way.id, &next, None, Some(&tunnel)), polls).await);
        let moved = way.open(&next, None, Some(&tunnel)).await;
        assert!(!is_held_open || moved.port == tunnel.port, "the local port stays");
        has_open(bench, usize::from(is_held_open)).await;
        drop(break_off(way.tunnels.close(&moved), polls).await);
        way.close(&moved).await;
        has_open(bench, 0).await;
    }
}

async fn a_wanted_port_is_kept(bench: &dyn TunnelsBench) {
    let (way, place) = (Way::new(bench), bench.place().await);
    let (port, other_port) = (bench.free_port().await, bench.free_port().await);
    let tunnel = way.open(&place, Some(port), None).await;
    assert_eq!(tunnel.port, port, "the port that was asked for");
    let moved = way.open(&place, Some(other_port), Some(&tunnel)).await;
    assert_eq!(moved.port, other_port, "the port that was asked for");
    assert!(!bench.is_taken(&tunnel.host, port).await, "the former port is free");
    has_open(bench, 1).await;
    way.close(&moved).await;
    // Its former tunnel tells the port to keep, open or not.
    let again = way.open(&place, None, Some(&moved)).await;
    assert_eq!(again.port, other_port, "the port that it had");
    way.close(&again).await;
    has_open(bench, 0).await;
}

async fn a_taken_port_is_left_alone(bench: &dyn TunnelsBench) {
    let (way, place) = (Way::new(bench), bench.place().await);
    let taken = bench.free_port().await;
    bench.take_port(taken).await;
    way.finds_taken(&place, Some(taken), None, taken).await;
    has_open(bench, 0).await;

    // Another service's tunnel is another program as well.
    let (other, other_place) = (Way::new(bench), bench.place().await);
    let theirs = other.open(&other_place, None, None).await;
    way.finds_taken(&place, Some(theirs.port), None, theirs.port).await;
    other.leads_to(&theirs, Some(&other_place)).await;
    other.close(&theirs).await;

    let tunnel = way.open(&place, None, None).await;
    way.close(&tunnel).await;
    bench.take_port(tunnel.port).await;
    way.finds_taken(&place, None, Some(&tunnel), tunnel.port).await;
    let elsewhere = way.open(&place, None, None).await;
    assert_ne!(elsewhere.port, tunnel.port, "another port is chosen where any will do");
    way.close(&elsewhere).await;
    has_open(bench, 0).await;
}

async fn closing_ends_one_tunnel_alone(bench: &dyn TunnelsBench) {
    let (one, two) = (Way::new(bench), Way::new(bench));
    let (first_place, second_place) = (bench.place().await, bench.place().await);
    let first = one.open(&first_place, None, None).await;
    let second = two.open(&second_place, None, None).await;
    assert_ne!(first.port, second.port, "two services have two ports");
    one.close(&first).await;
    one.leads_to(&first, None).await;
    two.leads_to(&second, Some(&second_place)).await;
    one.close(&first).await;
    has_open(bench, 1).await;
    two.close(&second).await;
    has_open(bench, 0).await;
}

async fn out_of_reach_is_told(bench: &dyn TunnelsBench) -> bool {
    let (way, place) = (Way::new(bench), bench.place().await);
    let tunnel = way.open(&place, None, None).await;
    if !bench.cut().await {
        way.close(&tunnel).await;
        return false;
    }
    let stranger = Way::new(bench);
    match stranger.tunnels.open(stranger.id, &place, None, None).await {
        Err(TunnelError::Unreachable(_)) => {}
        other => panic!("a cluster that cannot be reached is told as such: {other:?}"),
    }
    way.leads_to(&tunnel, None).await;
    bench.mend().await;
    let way = Way { tunnels: bench.tunnels(), ..way };
    assert_eq!(way.open(&place, None, Some(&tunnel)).await.port, tunnel.port, "the local port stays");
    way.close(&tunnel).await;
    has_open(bench, 0).await;
    true
}
