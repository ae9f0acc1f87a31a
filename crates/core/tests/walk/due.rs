//! What a round of the modelled engine does.

use towline_core::lifecycle::{Action, Job, Life, Phase, Status};

use crate::ages::NOW;
use crate::flaws::Flaw;

/// As `Entry::due` and `Engine::due`.
pub(crate) fn due(life: &Life, surveyed: bool, in_vain: bool, flaw: Flaw) -> Vec<Action> {
    let is_healthy = life.status() == Status::Healthy;
    let mut actions = flaw.plans(plan(life.clone(), in_vain));
    actions.retain(|action| *action != Action::Survey || !surveyed);
    if is_healthy && actions.contains(&Action::Survey) {
        actions.extend(plan(if_verified(life.clone()), in_vain).into_iter().filter(is_way));
    }
    let goes_along = |action: &Action| *action == Action::Survey || is_healthy && is_way(action);
    if !actions.iter().all(goes_along) && actions.contains(&Action::Survey) {
        actions.retain(|action| *action != Action::Survey && !is_way(action));
    }
    actions
}

/// As `Entry::plan`.
fn plan(mut life: Life, in_vain: bool) -> Vec<Action> {
    if let (true, Some(ping)) = (in_vain, &mut life.ping) {
        ping.at = NOW;
    }
    life.plan(NOW).actions
}

/// As `Entry::if_verified`.
fn if_verified(mut life: Life) -> Life {
    if let Phase::Live { job: Job { run: Some(run), .. }, .. } = &mut life.phase {
        run.verified_at = Some(NOW);
    }
    life.looked_at = Some(NOW);
    life
}

fn is_way(action: &Action) -> bool {
    matches!(action, Action::Open { .. } | Action::Ping { .. })
}
