//! What an engine says of a container.

use serde::Deserialize;

/// The states of containers: of Docker's API (`State.Status` of an inspected container) and of Podman, which has four more
/// (libpod/define/containerstate.go).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is made, and was never started.
    Created,
    /// Its command runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It has ended and is started again.
    Restarting,
    /// It is about to be stopped or removed.
    Leaving(String),
    /// Its command has ended.
    Ended(End),
    /// A word that is not known here.
    Unknown(String),
}

/// How a container's command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: u8,
    pub(crate) out_of_memory: bool,
}

/// The part of `inspect` that is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    name: String,
    state: InspectedState,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
}

impl Inspected {
    /// The container's name. Docker writes it with a slash before it.
    pub(crate) fn name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    pub(crate) fn state(&self) -> State {
        let state = &self.state;
        // An exit code that no process can have is none that tells of success.
        let code = u8::try_from(state.exit_code).unwrap_or(u8::MAX);
        match state.status.as_str() {
            "created" | "initialized" => State::Created,
            "running" => State::Running,
            "paused" => State::Paused,
            "restarting" => State::Restarting,
            "removing" | "stopping" => State::Leaving(state.status.clone()),
            "exited" | "stopped" | "dead" => State::Ended(End { code, out_of_memory: state.oom_killed }),
            other => State::Unknown(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape that Docker's API documents for `GET /containers/{id}/json`, cut to what matters.
    const DOCKER: &str = include_str!("../../tests/fixtures/docker-inspect.json");
    /// What Podman 4.3 of Debian 12 printed.
    const PODMAN: &str = include_str!("../../tests/fixtures/podman-inspect.json");

    fn states(text: &str) -> Vec<(String, State)> {
        let inspected: Vec<Inspected> = serde_json::from_str(text).unwrap();
        inspected.iter().map(|one| (one.name().to_owned(), one.state())).collect()
    }

    #[test]
    fn what_the_engines_print_is_read() {
        let ended = |code, out_of_memory| State::Ended(End { code, out_of_memory });
        let docker: Vec<State> = states(DOCKER).into_iter().map(|(_, state)| state).collect();
        assert_eq!(docker, [State::Running, ended(137, true), ended(0, false), State::Paused]);
        assert_eq!(states(DOCKER)[0].0, "towline-01890a5d-ac96-774b-bcce-b302099a8057");
        let podman: Vec<State> = states(PODMAN).into_iter().map(|(_, state)| state).collect();
        assert_eq!(podman, [State::Running, ended(137, false)]);
    }

    #[test]
    fn every_word_is_a_state_or_kept() {
        let of = |status: &str| {
            let text = format!(r#"{{ "Name": "x", "State": {{ "Status": "{status}", "ExitCode": -1 }} }}"#);
            serde_json::from_str::<Inspected>(&text).unwrap().state()
        };
        let ended = State::Ended(End { code: 255, out_of_memory: false });
        for (word, state) in [
            ("created", State::Created),
            ("initialized", State::Created),
            ("running", State::Running),
            ("paused", State::Paused),
            ("restarting", State::Restarting),
            ("removing", State::Leaving("removing".into())),
            ("stopping", State::Leaving("stopping".into())),
            ("exited", ended.clone()),
            ("stopped", ended.clone()),
            ("dead", ended),
            ("hibernating", State::Unknown("hibernating".into())),
            ("", State::Unknown(String::new())),
        ] {
            assert_eq!(of(word), state, "{word}");
        }
    }
}
