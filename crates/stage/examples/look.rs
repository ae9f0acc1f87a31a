//! Shows what is staged in a directory of this machine: `cargo run -p towline-stage --example look -- DIRECTORY`.
#![expect(clippy::print_stdout, reason = "an example shows what it has found")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript};
use towline_stage::{Places, Stage};

/// Runs scripts on this machine, and waits for them for as long as it takes.
struct Here;

#[async_trait]
impl RemoteShell for Here {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let lost =
            |source: std::io::Error| ShellError::Lost { host: "this machine".into(), source: source.into() };
        let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let [stdin, stdout, stderr] = pipes;
        let mut child =
            Command::new("sh").stdin(stdin).stdout(stdout).stderr(stderr).spawn().map_err(lost)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(script.text.as_bytes()).map_err(lost)?;
        }
        let output = child.wait_with_output().map_err(lost)?;
        Ok(ShellOutput {
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.status.code().unwrap_or(-1),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "~/.cache/huggingface".to_owned());
    let places = Places { home: "~/.towline".parse()?, cache: Some(directory.parse()?) };
    let staged = Stage::new(Arc::new(Here), places).look().await?;
    println!("{}", serde_json::to_string_pretty(&staged)?);
    Ok(())
}
