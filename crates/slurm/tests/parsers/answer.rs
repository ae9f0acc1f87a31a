//! A cluster's answer to a survey, put together by hand, and what the public door makes of it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use towline_core::id::JobId;
use towline_core::job::Sighting;
use towline_core::ports::{
    RemoteShell, Scheduler as _, ShellError, ShellOutput, ShellScript, Subject, SurveyError,
};
use towline_core::time::Timestamp;
use towline_slurm::{Home, Slurm, SlurmConfig};

/// What begins a line of ours, and what ends a field.
pub(crate) const MARK: char = '\u{1e}';
pub(crate) const UNIT: char = '\u{1f}';

/// A login host that gives the same answer to every question.
struct Recorded(ShellOutput);

#[async_trait]
impl RemoteShell for Recorded {
    async fn run(&self, _script: &ShellScript) -> Result<ShellOutput, ShellError> {
        Ok(self.0.clone())
    }
}

/// What a survey makes of these bytes for each of the subjects, in their order.
pub(crate) fn look(stdout: Vec<u8>, subjects: &[Subject]) -> Result<Vec<Sighting>, SurveyError> {
    let output = ShellOutput { stdout, stderr: Vec::new(), code: 0 };
    let slurm = Slurm::new(Arc::new(Recorded(output)), SlurmConfig::new(Home::default()));
    let mut survey = now(slurm.survey(subjects))?;
    Ok(subjects
        .iter()
        .map(|subject| survey.sightings.remove(&subject.id).expect("each is told of"))
        .collect())
}

/// The value of a future that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing is waited for"),
    }
}

/// One of the subjects of the laws: the services 1 to 5 with the jobs 17, 18, none, 33 and none.
pub(crate) fn subjects() -> Vec<Subject> {
    let jobs = [Some("17"), Some("18"), None, Some("33"), None];
    let numbered = jobs.into_iter().zip(1..);
    numbered.map(|(job, n)| subject(&format!("00000000-0000-4000-8000-{n:012}"), job)).collect()
}

/// A service that was recorded just before the captures were.
pub(crate) fn subject(id: &str, job: Option<&str>) -> Subject {
    Subject {
        id: id.parse().expect("a UUID"),
        job: job.map(JobId::new),
        created_at: Timestamp::from_secs(1_795_420_990),
    }
}

/// The parts of an answer that are not the same in all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts<'a> {
    /// What `squeue` printed, with its marks.
    pub(crate) queue: &'a [u8],
    /// What `sacct` printed, each line with its mark.
    pub(crate) accounting: &'a [u8],
    /// What `grep` printed of the files of the services.
    pub(crate) files: &'a [u8],
}

impl Parts<'_> {
    /// A complete answer, for which accounting was asked for all of the subjects.
    pub(crate) fn bytes(&self, subjects: &[Subject]) -> Vec<u8> {
        let asked: String = subjects.iter().map(|subject| format!("{MARK}w{}\n", subject.id)).collect();
        let mut bytes = b"\n\x1eq0\n\x1et1795421000\n".to_vec();
        bytes.extend([self.queue, b"\n", asked.as_bytes(), b"\x1ea0\n", self.accounting].concat());
        bytes.extend([b"\n\x1er\n", self.files, b"\n\x1e.\n"].concat());
        bytes
    }

    /// What that answer says of them.
    pub(crate) fn look(&self, subjects: &[Subject]) -> Vec<Sighting> {
        look(self.bytes(subjects), subjects).expect("a complete answer")
    }
}
