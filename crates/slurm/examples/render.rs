//! Prints the batch script of a service, and what a recorded answer of a cluster tells of its job.
//!
//! No cluster is needed: the answer was recorded from Slurm 22.05.8. With a shell that reaches a login host in the
//! place of `Recorded` the same program asks a real one.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use std::sync::Arc;

use async_trait::async_trait;
use towline_core::id::ServiceId;
use towline_core::ports::{RemoteShell, Scheduler as _, ShellError, ShellOutput, ShellScript, Subject};
use towline_core::spec::ServiceSpec;
use towline_core::time::Timestamp;
use towline_slurm::{Home, Slurm, SlurmConfig, script};

/// A login host that always gives the same answer.
struct Recorded;

#[async_trait]
impl RemoteShell for Recorded {
    async fn run(&self, _script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let stdout = include_bytes!("survey.answer").to_vec();
        Ok(ShellOutput { stdout, stderr: Vec::new(), code: 0 })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec: ServiceSpec = serde_json::from_str(
        r#"{ "name": "web", "profile": "lab", "command": ["python3", "-m", "http.server", "{port}"],
             "setup": ["module load python"], "health": "/", "grace": { "secs": 60, "nanos": 0 },
             "resources": { "time": "30", "mem": "100M", "cpus": 1 } }"#,
    )?;
    let id: ServiceId = "01890a5d-ac96-774b-bcce-b302099a8060".parse()?;
    println!("{}", script::render(id, &spec, &Home::default())?);

    let slurm = Slurm::new(Arc::new(Recorded), SlurmConfig::new(Home::default()));
    let subject = Subject { id, job: None, created_at: Timestamp::from_secs(1_795_411_760) };
    let survey = slurm.survey(&[subject]).await?;
    println!("{:#?}", survey.sightings[&id]);
    Ok(())
}
