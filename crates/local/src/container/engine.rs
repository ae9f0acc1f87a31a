//! Asking an engine of this machine by its own program.

use std::collections::BTreeMap;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use towline_core::id::ServiceId;

use super::kept::name;
use super::state::{Inspected, State};
use super::words::LABEL;
use crate::process::MARK;

/// How long an engine may take to answer a question.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a container may take to end after it was asked to, in seconds, and how long to wait for that.
const GRACE: &str = "8";
const STOP: Duration = Duration::from_secs(30);

/// How often an engine that refuses is asked for the states of containers.
const TRIES: u32 = 3;

/// Why an engine told nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Its program is not on this machine.
    #[error("{engine} is not on PATH")]
    Missing { engine: String },
    /// It took too long.
    #[error("{engine} has not answered within {} s", limit.as_secs())]
    Late { engine: String, limit: Duration },
    /// It refused, or failed, in its own words.
    #[error("{engine}: {words}")]
    Refused { engine: String, words: String },
}

/// Runs the engine's program. What it prints is an answer only if it ends with 0.
pub(crate) async fn ask(engine: &str, words: &[&str], limit: Duration) -> Result<String, AskError> {
    let refused = |words: String| AskError::Refused { engine: engine.to_owned(), words };
    let running =
        Command::new(engine).args(words).env_remove(MARK).stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(limit, running).await {
        Err(_) => Err(AskError::Late { engine: engine.to_owned(), limit }),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(AskError::Missing { engine: engine.to_owned() })
        }
        Ok(Err(error)) => Err(refused(error.to_string())),
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(refused(said(&output))),
    }
}

/// The last line of what a program complained of.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("it ended with {}", output.status), |line| line.trim().to_owned())
}

/// The states of all containers of services that an engine knows. One that is missing does not exist.
pub(crate) async fn ask_all(engine: &str) -> Result<BTreeMap<String, State>, AskError> {
    // One that is removed after it was listed makes the whole question fail: then they are listed anew.
    for _ in 1..TRIES {
        match ask_once(engine).await {
            Err(AskError::Refused { .. }) => {}
            told => return told,
        }
    }
    ask_once(engine).await
}

async fn ask_once(engine: &str) -> Result<BTreeMap<String, State>, AskError> {
    let filter = format!("label={LABEL}");
    let list = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", "{{.ID}}"];
    let listed = ask(engine, &list, ANSWER).await?;
    let ids: Vec<&str> = listed.lines().map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let inspected = ask(engine, &[&["container", "inspect"], ids.as_slice()].concat(), ANSWER).await?;
    let inspected: Vec<Inspected> = serde_json::from_str(&inspected).map_err(|error| AskError::Refused {
        engine: engine.to_owned(),
        words: format!("its answer cannot be read: {error}"),
    })?;
    Ok(inspected.iter().map(|one| (one.name().to_owned(), one.state())).collect())
}

/// Whether the container of a service has processes.
pub(crate) async fn is_up(engine: &str, id: ServiceId) -> Result<bool, AskError> {
    Ok(match ask_all(engine).await?.get(&name(id)) {
        None | Some(State::Created | State::Ended(_)) => false,
        Some(State::Running | State::Paused | State::Restarting | State::Leaving(_) | State::Unknown(_)) => {
            true
        }
    })
}

/// Ends a container that is left: asks it, or insists at once. Done if there is none.
pub(crate) async fn end(engine: &str, id: ServiceId, insist: bool) -> Result<(), AskError> {
    let name = name(id);
    match ask_all(engine).await?.get(&name) {
        None | Some(State::Created | State::Ended(_)) => return Ok(()),
        Some(State::Paused) => {
            ask(engine, &["unpause", &name], ANSWER).await?;
        }
        Some(State::Running | State::Restarting | State::Leaving(_) | State::Unknown(_)) => {}
    }
    if !insist {
        return ask(engine, &["stop", "-t", GRACE, &name], STOP).await.map(drop);
    }
    match ask(engine, &["kill", &name], STOP).await {
        // Podman says for ever of one whose monitor was killed that it is stopping, and stops it no more.
        Err(AskError::Refused { .. }) if is_up(engine, id).await? => {
            ask(engine, &["rm", "--force", &name], STOP).await.map(drop)
        }
        Err(AskError::Refused { .. }) => Ok(()),
        done => done.map(drop),
    }
}

/// Removes a container. Done if there is none.
pub(crate) async fn forget(engine: &str, id: ServiceId) -> Result<(), AskError> {
    let name = name(id);
    if ask_all(engine).await?.contains_key(&name) {
        ask(engine, &["rm", "--force", &name], STOP).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An engine whose containers are removed between two questions, as often as `times` says.
    fn engine(dir: &std::path::Path, times: u32) -> String {
        let text = format!(
            "#!/bin/bash\ncd {}\nif [[ $1 == ps ]]; then echo x; exit; fi\necho >>asked\n\
             (($(wc -l <asked) > {times})) || {{ echo 'no such container' >&2; exit 125; }}\n\
             echo '[{{\"Name\": \"/a\", \"State\": {{\"Status\": \"running\"}}}}]'\n",
            dir.display()
        );
        let path = dir.join("engine");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_container_that_is_removed_meanwhile_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let states = ask_all(&engine(dir.path(), 2)).await.unwrap();
        assert_eq!(states["a"], State::Running);
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(ask_all(&engine(dir.path(), 3)).await, Err(AskError::Refused { .. })));
    }
}
