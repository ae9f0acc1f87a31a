//! The walk: the state machine, two processes that act on one service, and an abstract world, step by step in every
//! order there is.
//!
//! [`state::State`] is the product: the ledger's row (a real [`towline_core::lifecycle::Life`]), the processes
//! ([`turn`], the engine as it is modelled), and the [`world`], whose calls may come to anything that a port allows
//! ([`calls`]). [`promises`] must hold in every state, and [`quiet`] from every state on. Time is in [`ages`].
//!
//! The search is stateright's, a model checker: it keeps the states that were seen and finds the shortest way to one
//! that breaks a promise. Its `eventually` is not used, since it is blind to cycles and joins.
//!
//! `TOWLINE_WALK=deep` walks farther (see `docs/testing.md`).

mod ages;
mod calls;
mod coverage;
mod due;
mod errand;
mod flaws;
mod kept;
mod model;
mod promises;
mod quiet;
mod soundness;
mod state;
mod step;
mod turn;
mod words;
mod world;

use std::sync::Arc;
use std::time::Instant;

use coverage::{Coverage, unexpected};
use flaws::Flaw;
use model::{CLUSTERS, FINAL_ENDS, ONE_JOB, OWN_SERVER, RIGHT_VERDICTS, SETTLES, Walk};
use state::State;
use stateright::{Checker as _, HasDiscoveries, Model as _, Path};
use step::Step;
use world::Cluster;

/// Processes, rare things on one history, and the clusters, of the walks of every day.
const DAILY: [(usize, u8, &[Cluster]); 2] = [(1, 2, CLUSTERS.split_at(3).0), (2, 1, CLUSTERS.split_at(1).0)];
/// And of those that take minutes.
const DEEP: [(usize, u8, &[Cluster]); 3] =
    [(1, 2, &CLUSTERS), (2, 1, &CLUSTERS), (1, 3, CLUSTERS.split_at(1).0)];

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how far to walk is asked for by the environment, and how long it took is told"
)]
fn no_history_breaks_a_promise_and_all_facts_are_met() {
    let deep = std::env::var("TOWLINE_WALK").is_ok_and(|depth| depth == "deep");
    let coverage = Arc::new(Coverage::default());
    let walks: &[_] = if deep { &DEEP } else { &DAILY };
    for &(processes, rare, clusters) in walks {
        let walk = Walk::new(Flaw::None, clusters, processes, rare, &coverage);
        let began = Instant::now();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let checker = walk.checker().threads(threads).finish_when(HasDiscoveries::Any).spawn_bfs().join();
        println!(
            "{processes} processes, {rare} rare things, {} clusters: {} states, {} transitions, {} steps deep, {} s",
            clusters.len(),
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            began.elapsed().as_secs()
        );
        if !checker.discoveries().is_empty() {
            let walk = || Walk::new(Flaw::None, clusters, processes, rare, &coverage);
            let (promise, history) = shortest_wrong(walk).unwrap();
            panic!("broken is that {promise}\n{history}");
        }
    }
    println!("{} steps drawn by chance are the same in full time", soundness::follow(&coverage));
    println!("{}", coverage.table());
    assert_eq!(unexpected(&coverage), Vec::<String>::new());
}

/// A promise that is broken by the shortest history that breaks any, and that history in words.
///
/// What a checker comes to first is not always the shortest, so it is asked again for a shorter one until there is none.
fn shortest_wrong(walk: impl Fn() -> Walk) -> Option<(&'static str, String)> {
    let (mut found, mut limit) = (None, usize::MAX);
    while let Some((promise, path)) = wrong_within(walk(), limit) {
        limit = path.clone().into_actions().len();
        found = Some((promise, words::history(path)));
    }
    found
}

/// A promise that is broken by a history of fewer than `limit` steps, and that history.
fn wrong_within(walk: Walk, limit: usize) -> Option<(&'static str, Path<State, Step>)> {
    // The state that a history begins with counts as well.
    let promises = walk.properties();
    let checker = walk.checker().target_max_depth(limit.saturating_add(1)).finish_when(HasDiscoveries::Any);
    let mut broken = checker.spawn_bfs().join().discoveries();
    promises.iter().find_map(|promise| broken.remove_entry(promise.name))
}

/// What is wrong, how many processes there are, the promise that it breaks, and the steps of the shortest history that
/// breaks it.
const FLAWS: [(Flaw, usize, &str, usize); 7] = [
    (Flaw::SendsUnannounced, 2, ONE_JOB, 3),
    (Flaw::IgnoresConflicts, 2, FINAL_ENDS, 6),
    (Flaw::TakesUnclearForNotSent, 1, RIGHT_VERDICTS, 6),
    (Flaw::BelievesAbsenceAtOnce, 2, ONE_JOB, 7),
    (Flaw::ForgetsOwedCancels, 1, SETTLES, 1),
    (Flaw::TrustsIntentions, 1, OWN_SERVER, 16),
    (Flaw::LeavesTunnelsOpen, 1, SETTLES, 1),
];

#[test]
fn every_flaw_is_caught_and_told_by_its_shortest_history() {
    let mut caught = Vec::new();
    for (flaw, processes, promise, _) in FLAWS {
        let coverage = Arc::new(Coverage::default());
        let walk = || {
            let walk = Walk::new(flaw, CLUSTERS.split_at(1).0, processes, 2, &coverage);
            if promise == SETTLES { walk } else { walk.without_looking_ahead() }
        };
        let (broken, history) = shortest_wrong(walk).unwrap_or(("nothing", String::new()));
        println!("{flaw:?}: broken is that {broken}\n{history}");
        caught.push((flaw, processes, broken, history.lines().count()));
    }
    assert_eq!(caught, FLAWS);
}
