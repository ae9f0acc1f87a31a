//! Whatever a login host answers, nothing panics, and no doubt becomes a certainty.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::Sight;
use towline_core::ports::{
    LogFrom, RemoteShell, Scheduler as _, ServiceFiles as _, ShellError, ShellOutput, ShellScript,
    SubmitError,
};
use towline_slurm::{Home, Slurm, SlurmConfig};

use crate::support::{ID, OTHER, accounting_line, id, queue_line, spec, subject};

/// A login host that answers everything with the same bytes.
struct Parrot(ShellOutput);

#[async_trait]
impl RemoteShell for Parrot {
    async fn run(&self, _script: &ShellScript) -> Result<ShellOutput, ShellError> {
        Ok(self.0.clone())
    }
}

/// A login host that cannot be reached, or is lost at work.
struct Lost(bool);

#[async_trait]
impl RemoteShell for Lost {
    async fn run(&self, _script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let (host, source) = ("login".to_owned(), "gone".into());
        Err(if self.0 { ShellError::Lost { host, source } } else { ShellError::NotSent { host, source } })
    }
}

fn slurm(shell: impl RemoteShell + 'static) -> Slurm {
    Slurm::new(Arc::new(shell), SlurmConfig::new(Home::default()))
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Pieces of real answers and anything else, in any order.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let row = queue_line(ID, "7", "RUNNING").into_bytes();
    let accounted = format!("\u{1e}A{}", accounting_line(ID, "7", "FAILED")).into_bytes();
    let piece = prop_oneof![
        "\u{1e}[a-zA-Z.][0-9]{0,3}( [0-9]{1,3})?\n".prop_map(String::into_bytes),
        Just(row),
        Just(accounted),
        Just(b"\x1eq0\n".to_vec()),
        Just(b"\x1er\n".to_vec()),
        Just(format!("\u{1e}w{ID}\n").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_answer_is_read(stdout in answer(), stderr in answer(), code in 0..256_i32) {
        let complete = stdout.split(|&b| b == b'\n').any(|line| line.starts_with(b"\x1e."));
        let heard = stdout.split(|&b| b == b'\n').any(|line| line == b"\x1eq0");
        let asked = stdout.split(|&b| b == b'\n').any(|line| line.starts_with(b"\x1ew"));
        let slurm = slurm(Parrot(ShellOutput { stdout, stderr, code }));
        let submitted = wait_for(slurm.submit(id(), &spec()));
        let survey = wait_for(slurm.survey(&[subject(ID, Some("7")), subject(OTHER, None)]));
        let cancelled = wait_for(slurm.cancel(id(), &JobId::new("7")));
        if !complete {
            prop_assert!(matches!(submitted, Err(SubmitError::Unclear(_))));
            prop_assert!(survey.is_err() && cancelled.is_err());
        } else if let Ok(survey) = survey {
            prop_assert_eq!(survey.sightings.len(), 2);
            let absent = survey.sightings.values().any(|sighting| sighting.sight == Sight::Absent);
            prop_assert!((heard && asked) || !absent);
        }
        drop(wait_for(slurm.probe()));
        drop(wait_for(slurm.read_log(id(), LogFrom::Tail(1), Duration::ZERO)));
        drop(wait_for(slurm.remove(id())));
    }
}

#[test]
fn a_lost_connection_is_unclear_and_an_unreached_host_got_nothing() {
    let submit = |lost| wait_for(slurm(Lost(lost)).submit(id(), &spec()));
    assert!(matches!(submit(true), Err(SubmitError::Unclear(_))));
    assert!(matches!(submit(false), Err(SubmitError::NotSent(_))));
    let slurm = slurm(Lost(true));
    assert!(wait_for(slurm.survey(&[subject(ID, None)])).is_err());
    assert!(wait_for(slurm.cancel(id(), &JobId::new("7"))).is_err());
    assert!(wait_for(slurm.remove(id())).is_err());
    assert!(wait_for(slurm.probe()).is_err());
}
