//! Tunnels by way of nodes, of which one that refuses the login is left alone for longer and longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::engine::error_chain;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::Tunnel;
use towline_core::ports::{Clock, TunnelError, Tunnels};
use towline_core::time::Timestamp;
use towline_tunnel::{NodeError, SshError, SshTunnels, Standing};

/// How long a node is left alone after its first refusal; four times as long after each further one, up to [`LONGEST`].
/// Hosts bar those who try often: `fail2ban` counts five in ten minutes.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// That a node refuses the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// When the login may be tried again.
    pub(crate) until: Timestamp,
    /// Why, in words.
    pub(crate) why: String,
}

/// The nodes that refuse the login, by name, as far as this process has tried.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Refused>>);

#[derive(Debug)]
struct Refused {
    times: u32,
    until: Timestamp,
    error: NodeError,
}

impl Refused {
    /// Whether it is not yet to be tried again. Times that lie too far in the future (clocks jump) are none.
    fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.until <= now.plus(LONGEST)
    }
}

impl Refusals {
    /// What is known of a node, until it lets somebody in.
    pub(super) fn of(&self, node: &str) -> Option<Refusal> {
        let known = self.known();
        let refused = known.get(node)?;
        Some(Refusal { until: refused.until, why: error_chain(&refused.error) })
    }

    /// Why a node is to be left alone at `now`, if it is.
    fn held(&self, node: &str, now: Timestamp) -> Option<NodeError> {
        self.known().get(node).filter(|refused| refused.holds(now)).map(|refused| refused.error.clone())
    }

    /// Takes up that a node has refused the login. What several are told of one try counts once.
    fn note(&self, node: &str, error: NodeError, now: Timestamp) {
        let mut known = self.known();
        let times = match known.get(node) {
            Some(refused) if refused.holds(now) => return,
            refused => refused.map_or(0, |refused| refused.times),
        };
        let wait = FIRST.saturating_mul(4_u32.saturating_pow(times)).min(LONGEST);
        let refused = Refused { times: times.saturating_add(1), until: now.plus(wait), error };
        known.insert(node.to_owned(), refused);
    }

    /// Takes up that a node lets in.
    pub(super) fn forget(&self, node: &str) {
        self.known().remove(node);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens tunnels by way of nodes, and tries no login to one that has just refused it.
pub(super) struct NodeTunnels {
    inner: SshTunnels,
    clock: Arc<dyn Clock>,
    refusals: Arc<Refusals>,
}

impl NodeTunnels {
    /// Around `inner`; what is learnt of nodes is in `refusals`.
    pub(super) fn new(inner: SshTunnels, clock: Arc<dyn Clock>, refusals: Arc<Refusals>) -> Self {
        Self { inner, clock, refusals }
    }

    /// Whether another process has got there: no login is needed then.
    async fn stands(&self, tunnel: Option<&Tunnel>) -> bool {
        match tunnel {
            Some(tunnel) => self.inner.standing(&[tunnel]).await == [Standing::Open],
            None => false,
        }
    }
}

#[async_trait]
impl Tunnels for NodeTunnels {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        if let Some(error) = self.refusals.held(&place.host, self.clock.now())
            && !self.stands(before.filter(|before| before.place.is_same_address(place))).await
        {
            return Err(TunnelError::Unreachable(error.into()));
        }
        let opened = self.inner.open(id, place, local_port, before).await;
        match &opened {
            Ok(_) => self.refusals.forget(&place.host),
            Err(error) => {
                if let Some(error) = refusal(error) {
                    self.refusals.note(&place.host, error.clone(), self.clock.now());
                }
            }
        }
        opened
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        self.inner.close(tunnel).await
    }
}

/// The node's refusal that an error is, if it is one: the next try would come out the same.
fn refusal(error: &TunnelError) -> Option<&NodeError> {
    let (TunnelError::Unreachable(source) | TunnelError::Failed(source)) = error else { return None };
    let error: &NodeError = source.downcast_ref()?;
    let is_refusal = matches!(
        error.source,
        SshError::Denied { .. }
            | SshError::NoJobThere { .. }
            | SshError::HostKeyUnknown { .. }
            | SshError::HostKeyChanged { .. }
    );
    is_refusal.then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> NodeError {
        let source = SshError::Denied { host: "c1".into(), words: "no".into(), login: None };
        NodeError { node: "c1".into(), login: "login".into(), known_hosts: None, source }
    }

    #[test]
    fn a_node_that_refuses_is_tried_four_times_in_ten_minutes_and_then_once_in_ten() {
        let refusals = Refusals::default();
        let tries = |from: i64, to: i64| {
            let tried = |secs: &i64| {
                let now = Timestamp::from_secs(*secs);
                let is_tried = refusals.held("c1", now).is_none();
                if is_tried {
                    refusals.note("c1", denied(), now);
                }
                is_tried
            };
            (from..to).filter(tried).collect::<Vec<_>>()
        };
        assert_eq!(tries(0, 600), [0, 10, 50, 210]);
        assert_eq!(tries(600, 3_000), [810, 1_410, 2_010, 2_610]);
        assert!(refusals.of("c1").is_some_and(|refusal| refusal.why.contains("c1 refused the login")));
        refusals.forget("c1");
        assert_eq!(refusals.of("c1"), None);
        assert_eq!(tries(3_000, 3_011), [3_000, 3_010]);
    }

    #[test]
    fn only_what_would_come_out_the_same_is_a_refusal() {
        assert!(refusal(&TunnelError::Unreachable(denied().into())).is_some());
        let silent = SshError::TimedOut { host: "c1".into(), words: "x".into() };
        let silent = NodeError { source: silent, ..denied() };
        assert!(refusal(&TunnelError::Unreachable(silent.into())).is_none());
        assert!(refusal(&TunnelError::PortTaken { port: 1 }).is_none());
    }
}
