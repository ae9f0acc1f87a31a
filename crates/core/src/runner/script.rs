//! Puts the script of one service together.

use std::fmt::Write as _;
use std::time::Duration;

use super::quote::quote;
use crate::id::ServiceId;
use crate::spec::{Bind, ServiceSpec, SpecError, check_variable_name};

/// The functions that are the same for every service.
const FUNCTIONS: &str = include_str!("runner.bash");

/// Variables that the runner sets for the command.
const SET: [&str; 3] = ["HOST", "PORT", "TOWLINE_SERVICE"];

/// Variables that bash governs, so that a value would be lost, or by which it would run the script otherwise.
const OF_BASH: [&str; 31] = [
    "BASHOPTS",
    "BASHPID",
    "BASH_ALIASES",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_CMDS",
    "BASH_COMMAND",
    "BASH_COMPAT",
    "BASH_LINENO",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_VERSINFO",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "EXECIGNORE",
    "FUNCNAME",
    "FUNCNEST",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "OPTIND",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
    "_",
];

/// What stands in a command for the path of the file that holds the key of [`Secret`](crate::spec::Secret), if its server
/// reads it from one.
pub const SECRET_FILE: &str = "{secret-file}";

/// What the names of the runner's own variables begin with.
const OWN: &str = "towline_";

/// What a scheduler's adapter knows of the run, where the spec does not tell.
///
/// The shell expressions are the adapter's own text and are put into the script as they are; each stands on the
/// right of an assignment, so that an expansion in it needs no quotes against splitting.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// The service, for people and for the mark `TOWLINE_SERVICE` in the environment of its processes.
    pub id: ServiceId,
    /// Shell expression of the service's directory, such as `"$HOME"/.towline/services/UUID`.
    pub dir: &'a str,
    /// Shell expression of the job's id, such as `$SLURM_JOB_ID`.
    pub job: &'a str,
    /// Shell expression of the host as clients reach it, such as `$SLURMD_NODENAME`.
    pub host: &'a str,
    /// Shell expression of how often the job was started before: 0, or `${SLURM_RESTART_COUNT:-0}`.
    pub restarts: &'a str,
    /// Whether clients are on that same host, so that a server on its loopback interface is in their reach.
    pub same_host: bool,
    /// How long the service may run, in whole seconds, where the scheduler does not watch over that itself.
    pub time_limit: Option<Duration>,
}

/// Renders the bash text that runs `spec`; the adapter puts `#!/bin/bash` and its own lines in front of it.
///
/// It publishes `place.json` once a process of the service listens on the port, and leaves `exit.json` when the
/// service has ended; a TERM or INT ends the service. Its standard output and error are the service's log. A command
/// whose server is none of its descendants tells who it is in the file `stand-in` of the service's directory, `PORT PID`:
/// a port that is held for it by another program, and a process; 0 for none.
///
/// # Errors
/// The first part of the spec that cannot be run anywhere ([`ServiceSpec::check`]); a container, which the adapter has to turn
/// into the command that runs it first.
pub fn render(spec: &ServiceSpec, runner: &Runner<'_>) -> Result<String, SpecError> {
    spec.check()?;
    if spec.container.is_some() {
        return Err(SpecError::new("container", "a script runs a command, not a container"));
    }
    let mut text = String::with_capacity(FUNCTIONS.len() + 2048);
    head(&mut text, spec, runner)?;
    text.push_str(FUNCTIONS);
    tail(&mut text, spec)?;
    Ok(text)
}

/// Renders the file `env` of the service's directory: shell lines that set its environment. Keep it at mode 0600.
///
/// # Errors
/// A name that is no variable's, or one that bash or the runner governs, such as `PORT`.
pub fn env_file(spec: &ServiceSpec) -> Result<String, SpecError> {
    spec.check()?;
    let mut text = String::new();
    let in_file = spec.secret.as_ref().filter(|secret| secret.in_file).map(|secret| &secret.env);
    for (name, value) in &spec.env {
        check_variable(name)?;
        let value = quote(value)?;
        // Writing to a String cannot fail.
        let _ = match Some(name) == in_file {
            true => writeln!(text, "towline_secret={value}"),
            false => writeln!(text, "export {name}={value}"),
        };
    }
    Ok(text)
}

/// Checks that a variable can be given to a service: that its name is one, and that neither bash nor the runner governs it.
///
/// # Errors
/// The field `env`, with what is wrong.
pub fn check_variable(name: &str) -> Result<(), SpecError> {
    check_variable_name(name)?;
    if SET.contains(&name) || name.starts_with(OWN) {
        return Err(SpecError::new("env", format!("{name} is set where the service runs")));
    }
    if OF_BASH.contains(&name) {
        let problem = format!("{name} is bash's own: have the command set it, as in env {name}=... PROGRAM");
        return Err(SpecError::new("env", problem));
    }
    Ok(())
}

fn head(text: &mut String, spec: &ServiceSpec, runner: &Runner<'_>) -> Result<(), SpecError> {
    let Runner { id, dir, job, host, restarts, .. } = runner;
    let name = &spec.name;
    let chdir = spec.chdir.as_deref().map(directory).transpose()?.unwrap_or_default();
    let limit = runner.time_limit.map_or(0, |limit| limit.as_secs().max(1));
    let same_host = if runner.same_host { "1" } else { "" };
    let (private, listen) = match spec.bind {
        Bind::Loopback => ("1", "127.0.0.1"),
        // Whoever is to reach it is there, and nobody else needs to.
        Bind::All if runner.same_host => ("", "127.0.0.1"),
        Bind::All => ("", "0.0.0.0"),
    };
    let _ = write!(
        text,
        "# --- Service {name} ---\n\
         towline_service={id}\n\
         towline_dir={dir}\n\
         towline_job={job}\n\
         towline_restarts={restarts}\n\
         # The host as clients reach it, and whether they are on that same host.\n\
         towline_host={host}\n\
         towline_same_host={same_host}\n\
         # The address for the command to listen on, and whether it must listen on the loopback interface alone.\n\
         towline_listen={listen}\n\
         towline_private={private}\n\
         # Working directory; the home directory if empty.\n\
         towline_chdir={chdir}\n\
         # Seconds that the command may run; 0 where the scheduler watches over that.\n\
         towline_limit={limit}\n\
         # The command; $PORT is chosen when it is started, $HOST is the address.\n\
         towline_command() {{ set -- {}; towline_argv=(\"$@\"); }}\n\n",
        command(spec)?
    );
    Ok(())
}

fn tail(text: &mut String, spec: &ServiceSpec) -> Result<(), SpecError> {
    text.push_str("\n# --- The run ---\ntowline_prepare\n");
    for (index, line) in spec.setup.iter().enumerate() {
        // By eval, so that an open quote or bracket ends with the line that it is in.
        let _ = writeln!(text, "eval {} || towline_setup_failed {} $?", quote(line)?, index + 1);
    }
    text.push_str("towline_serve\n");
    Ok(())
}

/// The words of the command, for `set`: in `array=(...)` bash 5.2 puts a character before \x01 and \x7f that stand in
/// double quotes.
fn command(spec: &ServiceSpec) -> Result<String, SpecError> {
    let mut marks = vec![("{port}", "\"$PORT\""), ("{host}", "\"$HOST\"")];
    if spec.secret.as_ref().is_some_and(|secret| secret.in_file) {
        marks.push((SECRET_FILE, "\"$towline_dir\"/secret"));
    }
    let words: Result<Vec<String>, SpecError> = spec
        .command
        .iter()
        .map(|word| if word.is_empty() { quote(word) } else { filled_in(word, &marks) })
        .collect();
    Ok(words?.join(" "))
}

/// One word of the command, or a piece of it, with each mark left to the shell to fill in.
fn filled_in(word: &str, marks: &[(&str, &str)]) -> Result<String, SpecError> {
    let Some(((mark, with), others)) = marks.split_first() else {
        return if word.is_empty() { Ok(String::new()) } else { quote(word) };
    };
    let pieces: Result<Vec<String>, SpecError> =
        word.split(mark).map(|piece| filled_in(piece, others)).collect();
    Ok(pieces?.join(with))
}

/// A directory as the user names it; `~` is the home directory where the job runs, and so is what a relative one begins
/// at: with `./` before it, whatever `CDPATH` says, and if it is called `-`.
fn directory(dir: &str) -> Result<String, SpecError> {
    match dir.strip_prefix('~') {
        Some("" | "/") => Ok("$HOME".to_owned()),
        Some(rest) if rest.starts_with('/') => Ok(format!("$HOME{}", quote(rest)?)),
        _ if dir.starts_with('/') => quote(dir),
        _ => quote(&format!("./{dir}")),
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
