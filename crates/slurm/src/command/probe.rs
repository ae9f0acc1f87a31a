//! What a cluster offers, and what stands in Towline's way there: one remote command for `doctor`.

use serde::Serialize;
use towline_core::ports::ShellOutput;
use towline_core::time::Timestamp;

use crate::error::ClusterError;
use crate::frame::{self, MARK, PRELUDE, UNIT};
use crate::home::Home;
use crate::parse::sacct;

const TEXT: &str = r#"export LC_ALL=C
say "l$(hostname)"
say "u$(id -un)"
say "s$SHELL"
say "d$home"
say "t$(date +%s)"
for command in sbatch squeue scancel sinfo sacct bash awk; do
  command -v "$command" >/dev/null 2>&1 || say "m$command"
done
say "v$(bounded "$seconds" sbatch --version 2>/dev/null | tail -n 1)"
section home
(
  umask 077
  mkdir -p "$home/services" && : >"$home/services/.probe.$$" && rm -f "$home/services/.probe.$$"
)
say "w$?"
section sinfo
partitions=$(bounded "$seconds" sinfo -h -o "P%P$unit%a$unit%l$unit%D")
say "c$?"
printf '%s\n' "$partitions" | while read -r line; do say "$line"; done
if command -v sacct >/dev/null 2>&1; then
  section sacct
  bounded "$seconds" sacct -X -n -P -S now -o JobIDRaw >/dev/null
  say "a$?"
fi
finish
"#;

/// What one look at a cluster found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterProbe {
    /// The login host's own name.
    pub login_host: String,
    /// The user's name there.
    pub user: String,
    /// The user's login shell there.
    pub login_shell: String,
    /// Where Towline's files lie, with `~` expanded.
    pub home: String,
    /// Slurm's version, such as `22.05.8`.
    pub slurm_version: Option<String>,
    /// The cluster's clock.
    pub clock: Option<Timestamp>,
    /// The partitions, the default one among them.
    pub partitions: Vec<Partition>,
    /// Whether accounting can be asked how vanished jobs ended.
    pub has_accounting: bool,
    /// What is in the way, the worst first.
    pub problems: Vec<Problem>,
}

/// One partition, in the words of `sinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Whether jobs go there that name none.
    pub is_default: bool,
    /// Whether it takes and runs jobs (`up`).
    pub is_up: bool,
    /// The longest time limit there, such as `2:00` or `infinite`.
    pub time_limit: String,
    /// How many nodes it has.
    pub nodes: u32,
}

/// Something that is in Towline's way on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// A command is not on the `PATH` that a login without a terminal has.
    #[error("there is no {command} on PATH")]
    MissingCommand {
        /// The command.
        command: String,
    },
    /// The directory for Towline's files cannot be written.
    #[error("failed to write below {home}: {words}")]
    Home {
        /// The directory.
        home: String,
        /// The shell's words.
        words: String,
    },
    /// Slurm's controller gives no answer.
    #[error("the Slurm controller gives no answer: {words}")]
    Controller {
        /// Slurm's words.
        words: String,
    },
    /// Accounting exists and gives no answer.
    #[error("Slurm's accounting gives no answer: {words}")]
    Accounting {
        /// Slurm's words.
        words: String,
    },
    /// The login shell's start-up files print text; it is passed over, but breaks other programs.
    #[error("the login shell's start-up files print text: {text:?}")]
    Noise {
        /// Its beginning.
        text: String,
    },
}

impl Problem {
    /// Whether no service can be run until it is solved.
    pub fn is_fatal(&self) -> bool {
        match self {
            // Without these a service runs, and less is known of how it ended.
            Self::MissingCommand { command } => !["sacct", "sinfo"].contains(&command.as_str()),
            Self::Home { .. } | Self::Controller { .. } => true,
            Self::Accounting { .. } | Self::Noise { .. } => false,
        }
    }
}

/// The text of the remote command; `seconds` is what each command of Slurm is given.
pub(crate) fn script(home: &Home, seconds: u64) -> String {
    format!("{PRELUDE}home={}\nseconds={seconds}\nunit='{UNIT}'\n{TEXT}", home.word())
}

/// Reads the answer of [`script`].
pub(crate) fn read(output: &ShellOutput) -> Result<ClusterProbe, ClusterError> {
    let Some(lines) = frame::lines(output) else {
        return Err(ClusterError::Garbled { problem: frame::incomplete(output) });
    };
    let mut probe = ClusterProbe::default();
    for (letter, rest) in lines {
        probe.learn(letter, rest, output);
    }
    probe.problems.extend(noise(output));
    probe.problems.sort_by_key(|problem| !problem.is_fatal());
    Ok(probe)
}

impl ClusterProbe {
    fn learn(&mut self, letter: char, rest: String, output: &ShellOutput) {
        match letter {
            'l' => self.login_host = rest,
            'u' => self.user = rest,
            's' => self.login_shell = rest,
            'd' => self.home = rest,
            't' => self.clock = rest.parse().ok().map(Timestamp::from_secs),
            'm' => self.problems.push(Problem::MissingCommand { command: rest }),
            'v' => self.slurm_version = rest.split_whitespace().last().map(str::to_owned),
            'w' if rest != "0" => {
                let words = frame::words(output, "home");
                self.problems.push(Problem::Home { home: self.home.clone(), words });
            }
            'c' if rest != "0" && !self.misses("sinfo") => {
                let words = frame::words(output, "sinfo");
                self.problems.push(Problem::Controller { words });
            }
            'P' => self.partitions.extend(partition(&rest)),
            'a' => {
                let words = frame::words(output, "sacct");
                self.has_accounting = rest == "0";
                if !self.has_accounting && !sacct::is_disabled(&words) {
                    self.problems.push(Problem::Accounting { words });
                }
            }
            _ => {}
        }
    }

    fn misses(&self, name: &str) -> bool {
        self.problems.iter().any(|p| matches!(p, Problem::MissingCommand { command } if command == name))
    }
}

fn partition(line: &str) -> Option<Partition> {
    let mut fields = line.split(UNIT);
    let (name, state, limit, nodes) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Partition {
        name: name.trim_end_matches('*').to_owned(),
        is_default: name.ends_with('*'),
        is_up: state == "up",
        time_limit: limit.to_owned(),
        nodes: nodes.trim().parse().unwrap_or(0),
    })
}

fn noise(output: &ShellOutput) -> Option<Problem> {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(&output.stdout);
    let before = text.split(MARK).next().unwrap_or_default().trim();
    if before.is_empty() {
        return None;
    }
    Some(Problem::Noise { text: before.chars().take(SHOWN).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::capture;

    fn answer(lines: &[&str], stderr: &str) -> ClusterProbe {
        let mut stdout = lines.join("\n\u{1e}").replace('|', &UNIT.to_string());
        stdout.push_str("\n\u{1e}.\n");
        read(&ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 }).unwrap()
    }

    #[test]
    fn a_healthy_cluster_has_no_problems() {
        let probe = answer(
            &[
                "\n",
                "llogin",
                "ualice",
                "s/bin/bash",
                "d/home/alice/.towline",
                "t1795409917",
                "vslurm-wlm 22.05.8",
                "w0",
                "c0",
                "Pcpu*|up|infinite|3",
                "Pshort|down|2:00|3",
                "a0",
            ],
            "",
        );
        assert_eq!(probe.problems, []);
        assert_eq!(probe.slurm_version.as_deref(), Some("22.05.8"));
        assert_eq!(probe.clock, Some(Timestamp::from_secs(1_795_409_917)));
        assert!(probe.has_accounting);
        let [cpu, short] = probe.partitions.as_slice() else { panic!("{:?}", probe.partitions) };
        assert!(cpu.is_default && cpu.is_up && cpu.name == "cpu" && cpu.nodes == 3);
        assert!(!short.is_default && !short.is_up && short.time_limit == "2:00");
    }

    #[test]
    fn the_worst_problem_comes_first() {
        let stderr = format!(
            "\u{1e}home\nmkdir: Permission denied\n\u{1e}sinfo\n{}\u{1e}sacct\n{}",
            capture("err.ctld-down.sinfo.stderr"),
            capture("err.dbd-down.sacct.stderr")
        );
        let probe = answer(&["Welcome!\n", "a1", "msacct", "c1", "w1", "mbash"], &stderr);
        let fatal: Vec<bool> = probe.problems.iter().map(Problem::is_fatal).collect();
        assert_eq!(fatal, [true, true, true, false, false, false]);
        let words: Vec<String> = probe.problems.iter().map(Problem::to_string).collect();
        assert!(words.iter().any(|w| w.ends_with("Permission denied")), "{words:?}");
        assert!(words.iter().any(|w| w.ends_with("(connect failure)")), "{words:?}");
        assert!(words.iter().any(|w| w.ends_with("\"Welcome!\"")), "{words:?}");
    }

    #[test]
    fn a_cluster_without_slurm_says_so_once() {
        let probe = answer(&["\n", "msinfo", "msbatch", "c127"], "");
        assert_eq!(probe.problems.len(), 2, "{:?}", probe.problems);
    }

    #[test]
    fn accounting_that_does_not_exist_is_no_problem() {
        let probe = answer(&["\n", "a1"], "\u{1e}sacct\nSlurm accounting storage is disabled\n");
        assert!(!probe.has_accounting && probe.problems.is_empty());
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let output = ShellOutput { stdout: b"\x1elx\n".to_vec(), stderr: Vec::new(), code: 1 };
        assert!(matches!(read(&output), Err(ClusterError::Garbled { .. })));
    }
}
