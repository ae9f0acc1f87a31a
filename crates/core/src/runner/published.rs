//! Reads the records that the runner leaves in the service's directory.

use serde::Deserialize;

use crate::id::JobId;
use crate::job::{ExitStatus, Place};
use crate::time::Timestamp;

/// A place that a job told, and which run of it did: `place.json` or `attempt.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPlace {
    /// The job that wrote it.
    pub job: JobId,
    /// How often that job had been started before; a place of an earlier run is stale.
    pub restarts: u32,
    /// The place; its `listening` tells the two records apart.
    pub place: Place,
    /// When it was written, by the clock of the host that it names.
    pub at: Timestamp,
}

/// How a run of a job ended, as it told itself: `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedExit {
    /// The job that wrote it.
    pub job: JobId,
    /// How often that job had been started before.
    pub restarts: u32,
    /// Exit code of the command. A shell tells a signal n as code 128 + n, and so does this.
    pub exit: ExitStatus,
    /// Whether the runner itself ended it at its time limit.
    pub time_limit: bool,
    /// When it ended, by the clock of the host on which it ran.
    pub at: Timestamp,
}

/// A record that is none of the runner's: cut short, changed, or of another program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is no JSON of the expected shape.
    #[error("failed to read the record {file}")]
    Shape {
        /// The file's name.
        file: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// One of its values cannot be.
    #[error("the record {file} has no usable {field}")]
    Value {
        /// The file's name.
        file: &'static str,
        /// Which value.
        field: &'static str,
    },
}

const PLACE: &str = "place.json";
const ATTEMPT: &str = "attempt.json";
const EXIT: &str = "exit.json";

#[derive(Deserialize)]
struct PlaceRecord {
    job: String,
    restarts: u32,
    host: String,
    port: u16,
    pid: u32,
    #[serde(default)]
    loopback: bool,
    #[serde(alias = "started_at", alias = "published_at")]
    at: i64,
}

#[derive(Deserialize)]
struct ExitRecord {
    job: String,
    restarts: u32,
    code: u8,
    signal: Option<u8>,
    #[serde(default)]
    time_limit: bool,
    ended_at: i64,
}

/// Reads `place.json`: where the service's own process listens.
///
/// # Errors
/// [`RecordError`] if the text is not what the runner writes.
pub fn parse_place(text: &str) -> Result<PublishedPlace, RecordError> {
    read_place(text, PLACE, true)
}

/// Reads `attempt.json`: where the service's process was told to listen.
///
/// # Errors
/// [`RecordError`] if the text is not what the runner writes.
pub fn parse_attempt(text: &str) -> Result<PublishedPlace, RecordError> {
    read_place(text, ATTEMPT, false)
}

/// Reads `exit.json`: how the run ended.
///
/// # Errors
/// [`RecordError`] if the text is not what the runner writes.
pub fn parse_exit(text: &str) -> Result<PublishedExit, RecordError> {
    let record: ExitRecord =
        serde_json::from_str(text).map_err(|source| RecordError::Shape { file: EXIT, source })?;
    Ok(PublishedExit {
        job: job(record.job, EXIT)?,
        restarts: record.restarts,
        exit: ExitStatus { code: record.code, signal: record.signal },
        time_limit: record.time_limit,
        at: Timestamp::from_secs(record.ended_at),
    })
}

fn read_place(text: &str, file: &'static str, listening: bool) -> Result<PublishedPlace, RecordError> {
    let record: PlaceRecord =
        serde_json::from_str(text).map_err(|source| RecordError::Shape { file, source })?;
    // A host ends up on the command line of ssh and in a URL.
    let host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if record.host.is_empty() || record.host.starts_with('-') || !record.host.chars().all(host_char) {
        return Err(RecordError::Value { file, field: "host" });
    }
    if record.port == 0 {
        return Err(RecordError::Value { file, field: "port" });
    }
    Ok(PublishedPlace {
        job: job(record.job, file)?,
        restarts: record.restarts,
        place: Place {
            host: record.host,
            port: record.port,
            pid: record.pid,
            listening,
            loopback: record.loopback,
        },
        at: Timestamp::from_secs(record.at),
    })
}

fn job(id: String, file: &'static str) -> Result<JobId, RecordError> {
    if id.is_empty() {
        return Err(RecordError::Value { file, field: "job" });
    }
    Ok(JobId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"job":"4711","restarts":2,"published_at":1700000000,"host":"c1","node":"c1",
        "port":23456,"pid":99,"address":"*","loopback":false,"new":[]}"#;

    #[test]
    fn reads_what_the_runner_writes() {
        let read = parse_place(GOOD).unwrap();
        assert_eq!((read.job.as_str(), read.restarts), ("4711", 2));
        assert_eq!(read.at, Timestamp::from_secs(1_700_000_000));
        let place = Place { host: "c1".into(), port: 23456, pid: 99, listening: true, loopback: false };
        assert_eq!(read.place, place);

        let attempt = r#"{"job":"4711","restarts":0,"started_at":1,"host":"c1","port":1,"pid":7}"#;
        assert!(!parse_attempt(attempt).unwrap().place.listening);

        let exit = parse_exit(
            r#"{"job":"4711","restarts":0,"ended_at":5,"code":143,"signal":15,"time_limit":false}"#,
        )
        .unwrap();
        assert_eq!(exit.exit, ExitStatus { code: 143, signal: Some(15) });
    }

    #[test]
    fn refuses_hosts_that_are_none() {
        for host in ["", "-oProxyCommand=id", "a b", "a/b", "$(id)", "ä"] {
            let text = GOOD.replace("\"host\":\"c1\"", &format!("\"host\":\"{host}\""));
            assert!(matches!(parse_place(&text), Err(RecordError::Value { field: "host", .. })), "{host}");
        }
        for port in ["0", "65536", "-1", "\"1\""] {
            assert!(parse_place(&GOOD.replace("23456", port)).is_err(), "{port}");
        }
        assert!(parse_place(&GOOD.replace("\"4711\"", "\"\"")).is_err());
    }

    #[test]
    fn a_record_cut_short_is_an_error() {
        for end in 0..GOOD.len() {
            assert!(parse_place(&GOOD[..end]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            drop(parse_place(&text));
            drop(parse_attempt(&text));
            drop(parse_exit(&text));
        }
    }
}
