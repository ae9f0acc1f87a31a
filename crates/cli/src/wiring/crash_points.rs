//! Named points at which this program kills itself, or a script on the cluster waits: for the tests that show that
//! nothing is lost or doubled there. Only a build with the feature `crash-points` has them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use rustix::process::{Signal, getpid, kill_process};
use towline_core::engine::Site;
use towline_core::ports::{Ledger, RemoteShell};

use super::crashing_ports::{CrashingLedger, CrashingScheduler, CrashingTunnels};
use super::held_shell::{HeldShell, STEPS};
use crate::exit::{Failure, Kind, Outcome};

/// Kills this process at a point: `before:` or `after:` and the name of a [`Step`].
const CRASH_AT: &str = "TOWLINE_CRASH_AT";
/// Lets the first script that comes to a step wait there: one of [`STEPS`].
const HOLD_AT: &str = "TOWLINE_HOLD_AT";
/// The settling time, in seconds, with which services are recorded instead of the usual one.
const SETTLE: &str = "TOWLINE_SETTLE_SECONDS";

/// The variables that are understood here, and are no values of the configuration.
pub(crate) const VARIABLES: [&str; 3] = [CRASH_AT, HOLD_AT, SETTLE];

/// A step that changes something in the ledger, on the cluster or on this machine, or tells of such a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    IntentSaved,
    SubmissionAnnounced,
    JobSubmitted,
    IdRecorded,
    PlaceRead,
    StatusSaved,
    TunnelOpened,
    TunnelRecorded,
    StopWishRecorded,
    CancelSent,
    CancelRecorded,
    CancelConfirmed,
    EndRecorded,
    TunnelClosed,
    RowClosed,
}

impl Step {
    /// All of them in the order of a life, with their names.
    const ALL: [(Self, &'static str); 15] = [
        (Self::IntentSaved, "intent-saved"),
        (Self::SubmissionAnnounced, "submission-announced"),
        (Self::JobSubmitted, "job-submitted"),
        (Self::IdRecorded, "id-recorded"),
        (Self::PlaceRead, "place-read"),
        (Self::StatusSaved, "status-saved"),
        (Self::TunnelOpened, "tunnel-opened"),
        (Self::TunnelRecorded, "tunnel-recorded"),
        (Self::StopWishRecorded, "stop-wish-recorded"),
        (Self::CancelSent, "cancel-sent"),
        (Self::CancelRecorded, "cancel-recorded"),
        (Self::CancelConfirmed, "cancel-confirmed"),
        (Self::EndRecorded, "end-recorded"),
        (Self::TunnelClosed, "tunnel-closed"),
        (Self::RowClosed, "row-closed"),
    ];
}

/// The point at which this process is to die, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CrashPoint {
    #[default]
    Never,
    Before(Step),
    After(Step),
}

impl CrashPoint {
    /// Each with its name.
    fn all() -> impl Iterator<Item = (Self, String)> {
        Step::ALL.into_iter().flat_map(|(step, name)| {
            [(Self::Before(step), format!("before:{name}")), (Self::After(step), format!("after:{name}"))]
        })
    }

    /// Dies if this is the point.
    pub(super) fn before(self, step: Step) {
        if self == Self::Before(step) {
            die();
        }
    }

    /// Dies if this is the point.
    pub(super) fn after(self, step: Step) {
        if self == Self::After(step) {
            die();
        }
    }
}

/// Ends this process as a kill from outside would: nothing is written, closed or said any more.
fn die() {
    let _gone = kill_process(getpid(), Signal::KILL);
}

/// All points, one a line, as they are set in the environment; or how many of them a file names.
///
/// # Errors
/// For a file that cannot be read, or does not name all of them.
pub(crate) fn tell(exercised: Option<&Path>) -> Outcome<String> {
    let Some(path) = exercised else { return Ok(list()) };
    let failed = |err| Failure::new(Kind::Usage, format!("failed to read {}: {err}", path.display()));
    count(&fs::read_to_string(path).map_err(failed)?)
}

fn count(exercised: &str) -> Outcome<String> {
    let all = list();
    let missing: Vec<&str> =
        all.lines().filter(|point| !exercised.lines().any(|line| line == *point)).collect();
    let count = all.lines().count();
    let counted = format!("exercised {} of {count} crash points", count - missing.len());
    match missing.is_empty() {
        true => Ok(format!("{counted}\n")),
        false => Err(Failure::new(Kind::Internal, format!("{counted}; missing: {}", missing.join(", ")))),
    }
}

fn list() -> String {
    let local = CrashPoint::all().map(|(_, name)| format!("{CRASH_AT}={name}\n"));
    local.chain(STEPS.iter().map(|name| format!("{HOLD_AT}={name}\n"))).collect()
}

/// Makes sure that the environment asks for nothing that does not exist.
///
/// # Errors
/// [`Kind::Usage`] if it does.
pub(crate) fn check() -> Outcome<()> {
    crash_point()?;
    held_step()?;
    settling_time()?;
    Ok(())
}

/// The ports of a profile with the points that the environment asks for.
///
/// # Errors
/// [`Kind::Usage`] for a point that does not exist.
pub(super) fn around(site: Site, ledger: Arc<dyn Ledger>) -> Outcome<(Site, Arc<dyn Ledger>)> {
    let (at, settle) = (crash_point()?, settling_time()?);
    if at == CrashPoint::Never && settle.is_none() {
        return Ok((site, ledger));
    }
    let site = Site {
        scheduler: Arc::new(CrashingScheduler::new(site.scheduler, at)),
        tunnels: Arc::new(CrashingTunnels::new(site.tunnels, at)),
        ..site
    };
    Ok((site, Arc::new(CrashingLedger::new(ledger, at, settle))))
}

/// The shell of a cluster, with the point that the environment asks for; `home` is where Towline keeps its files there.
///
/// # Errors
/// [`Kind::Usage`] for a step that does not exist.
pub(super) fn around_shell(shell: Arc<dyn RemoteShell>, home: &str) -> Outcome<Arc<dyn RemoteShell>> {
    Ok(match held_step()? {
        Some(step) => Arc::new(HeldShell::new(shell, step, home)?),
        None => shell,
    })
}

fn crash_point() -> Outcome<CrashPoint> {
    let point = |wanted: &str| CrashPoint::all().find(|(_, name)| name == wanted).map(|(point, _)| point);
    Ok(read(CRASH_AT, point)?.unwrap_or_default())
}

fn held_step() -> Outcome<Option<&'static str>> {
    read(HOLD_AT, |wanted| STEPS.into_iter().find(|step| *step == wanted))
}

fn settling_time() -> Outcome<Option<Duration>> {
    read(SETTLE, |text| text.parse().ok().map(Duration::from_secs))
}

/// What a variable means, if it is set.
fn read<T>(variable: &str, meaning: impl Fn(&str) -> Option<T>) -> Outcome<Option<T>> {
    let Ok(text) = env::var(variable) else { return Ok(None) };
    match meaning(&text) {
        Some(meant) => Ok(Some(meant)),
        None => Err(Failure::new(Kind::Usage, format!("bad {variable}: {text:?} is unknown"))
            .hint("`towline crash-points` lists all points")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let listed = list();
        let names: BTreeSet<&str> = listed.lines().collect();
        assert_eq!(names.len(), 2 * Step::ALL.len() + STEPS.len(), "{listed}");
    }

    #[test]
    fn a_point_that_was_not_exercised_is_missed() {
        let listed = list();
        assert_eq!(count(&listed).unwrap(), "exercised 39 of 39 crash points\n");
        let told = count(listed.split_once('\n').unwrap().1).unwrap_err();
        let missing = "exercised 38 of 39 crash points; missing: TOWLINE_CRASH_AT=before:intent-saved";
        assert_eq!(told.error.to_string(), missing);
    }
}
