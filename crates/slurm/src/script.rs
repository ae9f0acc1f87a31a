//! The batch script: what a service's job runs.

use towline_core::id::ServiceId;
use towline_core::resources::Resources;
use towline_core::runner::{self, Runner};
use towline_core::spec::{ServiceSpec, SpecError};

use crate::directives;
use crate::home::Home;

/// The service's name makes a job readable in `squeue`; its id is the token by which Towline finds the job again,
/// and stands at the end.
pub(crate) fn job_name(id: ServiceId, spec: &ServiceSpec) -> String {
    format!("{}-{id}", spec.name)
}

/// Renders the batch script of a service, byte for byte as it is submitted.
///
/// It is submitted with `--chdir` set to the service's directory, so that its relative `--output` lies there; the
/// command itself is run in the user's home or in the spec's `chdir`. The environment of the login shell is handed
/// on as `sbatch` does by default (`--export=ALL`); the service's own `env` is in a file beside the script and never
/// in it.
///
/// # Errors
/// The first part of the spec that Slurm could not run as it stands.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use towline_core::spec::ServiceSpec;
/// use towline_slurm::{Home, script};
///
/// let spec: ServiceSpec = serde_json::from_str(
///     r#"{ "name": "web", "profile": "lab", "command": ["python3", "-m", "http.server", "{port}"],
///          "health": "/", "grace": { "secs": 600, "nanos": 0 }, "resources": { "time": "1:30:00" } }"#,
/// )?;
/// let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// let text = script::render(id, &spec, &Home::default())?;
/// assert!(text.starts_with("#!/bin/bash\n"));
/// assert!(text.contains("\n#SBATCH --job-name=web-01890a5d-ac96-774b-bcce-b302099a8057\n"));
/// assert!(text.contains("\n#SBATCH --time=1:30:00\n"));
/// # Ok(())
/// # }
/// ```
pub fn render(id: ServiceId, spec: &ServiceSpec, home: &Home) -> Result<String, SpecError> {
    let dir = home.service_word(id);
    let run = Runner {
        id,
        dir: &dir,
        job: "$SLURM_JOB_ID",
        host: "${SLURMD_NODENAME:-$HOSTNAME}",
        restarts: "${SLURM_RESTART_COUNT:-0}",
        same_host: false,
        time_limit: None,
    };
    refuse_container(spec)?;
    let mut text = head(id, spec)?;
    text.push_str(&runner::render(spec, &run)?);
    Ok(text)
}

/// Checks what [`render`] and [`env_file`] would.
pub(crate) fn check(spec: &ServiceSpec) -> Result<(), SpecError> {
    directives::options(&spec.resources)?;
    env_file(spec)?;
    spec.check()?;
    refuse_container(spec)
}

/// A container that an adapter has to look after has nobody to do so in a job.
fn refuse_container(spec: &ServiceSpec) -> Result<(), SpecError> {
    let Some(container) = &spec.container else { return Ok(()) };
    let problem = format!("{} runs on this machine alone, not in a job of a cluster", container.engine);
    Err(SpecError::new("container", problem))
}

/// The options of `sbatch` for what is asked for, each as a line of a batch script has it after `#SBATCH `: for jobs that are no
/// service.
///
/// # Errors
/// The first value that `sbatch` could not take.
pub fn options(resources: &Resources) -> Result<Vec<String>, SpecError> {
    directives::options(resources)
}

/// The file `env` that the script reads: the spec's environment as shell lines. It may hold secrets.
///
/// # Errors
/// A variable that cannot be set.
pub(crate) fn env_file(spec: &ServiceSpec) -> Result<String, SpecError> {
    runner::env_file(spec)
}

fn head(id: ServiceId, spec: &ServiceSpec) -> Result<String, SpecError> {
    let mut text = format!(
        "#!/bin/bash\n\
         # Towline runs the service {name} with this batch script (sbatch(1)).\n\
         \n\
         # The id in the name is how the job is found again; the log lies beside this script.\n\
         #SBATCH --job-name={job_name}\n\
         #SBATCH --output=server.log\n\
         # The log of a requeued job is continued, not emptied.\n\
         #SBATCH --open-mode=append\n",
        name = spec.name,
        job_name = job_name(id, spec),
    );
    let options = directives::options(&spec.resources)?;
    if !options.is_empty() {
        text.push_str("# What the service asks for.\n");
    }
    for option in options {
        text.extend(["#SBATCH ", &option, "\n"]);
    }
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testing::{ID, spec};

    #[test]
    fn a_script_reads_well() {
        let mut spec = spec(&["python3", "-m", "http.server", "{port}"]);
        spec.setup = vec!["module load python/3.12".into()];
        spec.resources.time = Some("10".into());
        spec.resources.mem = Some("500M".into());
        spec.resources.cpus = Some(1);
        let text = render(ID.parse().unwrap(), &spec, &Home::default()).unwrap();
        let own = text.split("# --- How a service is run").next().unwrap();
        insta::assert_snapshot!(own);
    }

    #[test]
    fn bash_takes_it_whatever_the_user_wrote() {
        let mut spec = spec(&["$(id)", "it's", "a\nb", "`x`", "#SBATCH --uid=0", "{port}"]);
        spec.setup = vec!["if true; then".into(), "echo 'open".into()];
        spec.chdir = Some("~/my dir/$(id)".into());
        spec.resources.constraint = Some("a&b|c".into());
        let text = render(ID.parse().unwrap(), &spec, &"/x y/$(id)".parse().unwrap()).unwrap();
        let check = Command::new("bash").args(["-n", "-c", &text]).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }

    #[test]
    fn no_user_text_becomes_an_option() {
        let spec = spec(&["serve", "\n#SBATCH --uid=0\n"]);
        let text = render(ID.parse().unwrap(), &spec, &Home::default()).unwrap();
        // sbatch reads options only before the first line that is neither empty nor a comment.
        let read = text.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
        assert!(read.filter(|line| line.starts_with("#SBATCH")).all(|line| !line.contains("uid")));
    }

    #[test]
    fn secrets_are_not_in_it() {
        let mut spec = spec(&["serve"]);
        spec.env.insert("KEY".into(), "s3cr3t".into());
        let text = render(ID.parse().unwrap(), &spec, &Home::default()).unwrap();
        assert!(!text.contains("s3cr3t"));
        assert!(env_file(&spec).unwrap().contains("s3cr3t"));
    }

    #[test]
    fn a_bad_spec_gives_its_field() {
        let mut spec = spec(&["serve"]);
        spec.resources.time = Some("soon".into());
        assert_eq!(render(ID.parse().unwrap(), &spec, &Home::default()).unwrap_err().field, "time");
    }
}
