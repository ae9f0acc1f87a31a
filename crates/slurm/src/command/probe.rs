//! What a cluster offers, and what stands in Towline's way there: one remote command for `doctor`.

use towline_core::ports::ShellOutput;
use towline_core::time::Timestamp;

use super::survey::failure;
use crate::error::ClusterError;
use crate::findings::{ClusterProbe, Problem};
use crate::frame::{self, MARK, PRELUDE, split_line};
use crate::home::Home;
use crate::parse::association;
use crate::parse::disk::{self, Room};
use crate::parse::partition;
use crate::parse::sacct;

/// The steps of the look. Whatever fails says so and harms no other; accounting's further questions get a short time.
///
/// - The first and the last line tell the time, so that the way of the answer can be told from a difference of clocks.
/// - What is written to the home is of the size of a log's first lines and reaches the disk: with a used-up quota an
///   empty file can still be made, and NFS may accept what its server then refuses.
/// - `squeue --me` is what a survey asks. Only if the controller answers it, it is asked anything else: a silent one
///   costs 9 s or more each time.
/// - `sacctmgr` prints its default columns with a heading, as every version does, instead of chosen ones, of which
///   one that it does not know would spoil all.
const TEXT: &str = r#"export LC_ALL=C
say "t$(date +%s.%N)"
user=$(id -un)
say "l$(hostname)"
say "u$user"
say "g$(id -Gn)"
say "s$SHELL"
say "S$SSH_CONNECTION"
say "d$home"
for command in sbatch squeue scancel scontrol sinfo sacct awk bash find grep head sed tail xargs; do
  command -v "$command" >/dev/null 2>&1 || say "m$command"
done
section home
(
  umask 077
  mkdir -p "$home/services" || exit
  file=$home/services/.probe.$$
  trap 'rm -f "$file"' EXIT
  dd if=/dev/zero of="$file" bs=4096 count=16 conv=fsync status=none
)
say "w$?"
at=$home
while [ ! -e "$at" ] && [ "$at" != "${at%/*}" ]; do at=${at%/*}; done
section disk
say "k$(bounded 5 df -Pk "${at:-/}" | tail -n 1)"
say "i$(bounded 5 df -Pi "${at:-/}" | tail -n 1)"
if command -v quota >/dev/null 2>&1; then
  say "q
$(bounded 5 quota -w | head -c 16384)"
fi
if command -v lfs >/dev/null 2>&1; then
  say "q
$(bounded 5 lfs quota -q -u "$user" "${at:-/}" | head -c 16384)"
fi
say "v$(bounded "$seconds" sbatch --version 2>/dev/null | tail -n 1)"
section squeue
bounded "$seconds" squeue --me -h -o %A >/dev/null
code=$?
say "c$code"
if [ "$code" -eq 0 ] && command -v scontrol >/dev/null 2>&1; then
  section scontrol
  bounded "$seconds" scontrol show config | grep -e '^AccountingStorageEnforce ' -e '^ClusterName ' |
    while read -r line; do say "C$line"; done
  bounded "$seconds" scontrol -o show partition | while read -r line; do say "P$line"; done
fi
if command -v sacct >/dev/null 2>&1; then
  section sacct
  bounded "$seconds" sacct -X -n -P -S now -o JobIDRaw >/dev/null
  code=$?
  say "a$code"
  if [ "$code" -eq 0 ] && command -v sacctmgr >/dev/null 2>&1; then
    section sacctmgr
    found=$(bounded 5 sacctmgr -P show user "$user" withassoc) && say "A
$(printf '%s\n' "$found" | head -c 65536)"
  fi
fi
say "T$(date +%s.%N)"
finish
"#;

/// The oldest Slurm in which all that is asked of it is known to mean the same, by its manuals and source.
const KNOWN: (u32, u32) = (20, 11);

/// The oldest Slurm that has `squeue --me` (RELEASE_NOTES of 20.02).
const NEEDED: (u32, u32) = (20, 2);

/// The text of the remote command; `seconds` is what each command of Slurm is given.
pub(crate) fn script(home: &Home, seconds: u64) -> String {
    format!("{PRELUDE}home={}\nseconds={seconds}\n{TEXT}", home.word())
}

/// Reads the answer of [`script`].
pub(crate) fn read(output: &ShellOutput) -> Result<ClusterProbe, ClusterError> {
    let Some(records) = frame::records(output) else {
        return Err(ClusterError::Garbled { problem: nothing_of_ours(output) });
    };
    let mut reader = Reader::default();
    for (letter, text) in &records {
        let (line, more) = split_line(text);
        reader.learn(*letter, line, more, output);
    }
    let mut probe = reader.finish();
    probe.problems.extend(noise(output));
    probe.problems.sort_by_key(|problem| !problem.is_fatal());
    Ok(probe)
}

/// What is known so far, and what is only understood together with what comes later.
#[derive(Default)]
struct Reader {
    probe: ClusterProbe,
    begun: Option<Timestamp>,
    cluster: String,
    associations: Option<String>,
    quotas: String,
}

impl Reader {
    fn learn(&mut self, letter: char, line: &str, more: &str, output: &ShellOutput) {
        let probe = &mut self.probe;
        match letter {
            't' => self.begun = moment(line),
            'T' => probe.clock = self.begun.zip(moment(line)),
            'l' => probe.login_host = line.to_owned(),
            'u' => probe.user = line.to_owned(),
            'g' => probe.groups = line.split_whitespace().map(str::to_owned).collect(),
            's' => probe.login_shell = line.to_owned(),
            'S' => probe.sshd = own_address(line),
            'd' => probe.home = line.to_owned(),
            'm' => probe.problems.push(Problem::MissingCommand { command: line.to_owned() }),
            'w' if line != "0" => {
                let words = failure("home", line, output);
                probe.problems.push(Problem::Home { home: probe.home.clone(), words });
            }
            'k' => read_bytes(&mut probe.room, line),
            'i' => probe.room.free_inodes = disk::df(line).filter(|df| df.all > 0).map(|df| df.free),
            'q' => self.quotas.extend([more, "\n"]),
            'v' => read_version(probe, line),
            'c' if line != "0" && !misses(probe, "squeue") => {
                let words = failure("squeue", line, output);
                probe.problems.push(Problem::Controller { words });
            }
            'C' => self.read_setting(line),
            'P' => probe.partitions.extend(partition::partition(line)),
            'a' => read_accounting(probe, line, output),
            'A' => self.associations = Some(more.to_owned()),
            _ => {}
        }
    }

    /// Such as `ClusterName             = towline`.
    fn read_setting(&mut self, line: &str) {
        let Some((name, value)) = line.split_once('=') else { return };
        match name.trim() {
            "ClusterName" => self.cluster = value.trim().to_owned(),
            "AccountingStorageEnforce" => {
                let is_enforced = value.split(',').any(|word| word.trim() == "associations");
                self.probe.enforces_accounts = Some(is_enforced);
            }
            _ => {}
        }
    }

    fn finish(self) -> ClusterProbe {
        let mut probe = self.probe;
        let (table, cluster) = (self.associations, self.cluster);
        probe.associations = table.and_then(|table| association::associations(&table, &cluster));
        let is_ours = |of: &str| {
            let is_above = of.starts_with('/')
                && probe.home.strip_prefix(of).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
            is_above || probe.room.file_system.as_deref() == Some(of)
        };
        let own = disk::quotas(&self.quotas).into_iter().find(|(of, ..)| is_ours(of));
        if let Some((_, bytes, files)) = own {
            (probe.room.bytes, probe.room.files) = (bytes, files);
        }
        probe
    }
}

/// Seconds since the UNIX epoch with decimals, as `date +%s.%N` prints them; a `date` that has no decimals prints an `N`.
fn moment(text: &str) -> Option<Timestamp> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let micros = decimals.get(..6).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    Some(Timestamp::from_micros(
        whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.into())?,
    ))
}

/// The latter half of `SSH_CONNECTION`: address and port of the client, and those of the server (ssh(1)).
fn own_address(line: &str) -> Option<(String, u16)> {
    let mut words = line.split_whitespace().skip(2);
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

fn read_bytes(room: &mut Room, line: &str) {
    let Some(df) = disk::df(line) else { return };
    room.file_system = Some(df.name.to_owned());
    room.free_bytes = (df.all > 0).then(|| df.free.saturating_mul(1024));
}

/// Reads such as `slurm-wlm 22.05.8`.
fn read_version(probe: &mut ClusterProbe, line: &str) {
    let Some(version) = line.split_whitespace().last() else { return };
    probe.slurm_version = Some(version.to_owned());
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(year)), Some(Some(month))) = (numbers.next(), numbers.next()) else { return };
    let needed = match (year, month) {
        number if number < NEEDED => "20.02",
        number if number < KNOWN => "20.11",
        _ => return,
    };
    probe.problems.push(Problem::OldSlurm { version: version.to_owned(), needed });
}

fn read_accounting(probe: &mut ClusterProbe, code: &str, output: &ShellOutput) {
    probe.has_accounting = code == "0";
    let words = failure("sacct", code, output);
    if !probe.has_accounting && !sacct::is_disabled(&words) {
        probe.problems.push(Problem::Accounting { words });
    }
}

fn misses(probe: &ClusterProbe, name: &str) -> bool {
    probe.problems.iter().any(|p| matches!(p, Problem::MissingCommand { command } if command == name))
}

/// The lines before ours that hold anything, as the user would see them.
fn foreign_lines(output: &ShellOutput) -> Vec<String> {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(&output.stdout);
    let before = text.split(MARK).next().unwrap_or_default();
    let lines = before.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.chars().take(SHOWN).collect()).collect()
}

fn noise(output: &ShellOutput) -> Option<Problem> {
    let lines = foreign_lines(output);
    Some(Problem::Noise { first: lines.first()?.clone(), lines: lines.len() })
}

/// What to say of an answer that is not complete: a login shell that runs no commands tells why on standard output.
fn nothing_of_ours(output: &ShellOutput) -> String {
    let problem = frame::incomplete(output);
    match foreign_lines(output).first() {
        Some(line) => format!("{problem}; it printed {line:?}"),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::disk::Quota;
    use crate::testing::capture;
    use proptest::prelude::*;

    fn output(stdout: String, stderr: &str) -> ShellOutput {
        ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 }
    }

    fn answer(lines: &[&str], stderr: &str) -> ClusterProbe {
        read(&output(lines.join("\n\u{1e}") + "\n\u{1e}.\n", stderr)).unwrap()
    }

    #[test]
    fn the_answer_of_a_real_cluster() {
        let probe = read(&output(capture("probe.answer"), "")).unwrap();
        assert_eq!(probe.problems, []);
        assert_eq!((probe.login_host.as_str(), probe.user.as_str()), ("login", "alice"));
        assert_eq!(probe.home, "/home/alice/.towline-probe");
        assert_eq!(probe.slurm_version.as_deref(), Some("22.05.8"));
        assert_eq!(probe.sshd, Some(("10.77.1.2".to_owned(), 22)));
        assert_eq!(probe.room.file_system.as_deref(), Some("home-alice"));
        assert!(probe.room.free_bytes.unwrap() > 1 << 30 && probe.room.free_inodes.unwrap() > 100_000);
        let names: Vec<&str> = probe.partitions.iter().map(|partition| partition.name.as_str()).collect();
        assert_eq!(names, ["cpu", "short", "gpu"]);
        let [research] = probe.associations.as_deref().unwrap() else { panic!("{probe:?}") };
        assert!(research.account == "research" && research.is_default);
        assert!(probe.has_accounting && probe.enforces_accounts == Some(true));
        let (first, last) = probe.clock.unwrap();
        assert!(last > first && last.since(first).as_secs() < 60, "{first} {last}");
    }

    #[test]
    fn the_worst_problem_comes_first() {
        let stderr = format!(
            "\u{1e}home\nmkdir: Permission denied\n\u{1e}squeue\n{}\u{1e}sacct\n{}",
            capture("err.ctld-down.squeue.stderr"),
            capture("err.dbd-down.sacct.stderr")
        );
        let lines = ["\nWelcome!\nto us\n", "a1", "msacct", "c1", "w1", "mbash", "vslurm 20.02.3"];
        let probe = answer(&lines, &stderr);
        let fatal: Vec<bool> = probe.problems.iter().map(Problem::is_fatal).collect();
        assert_eq!(fatal, [true, true, true, false, false, false, false]);
        let words: Vec<String> = probe.problems.iter().map(Problem::to_string).collect();
        let ends =
            ["Permission denied", "(connect failure)", "lines, first \"Welcome!\"", "older than 20.11"];
        for end in ends {
            assert!(words.iter().any(|words| words.ends_with(end)), "{end}: {words:?}");
        }
    }

    #[test]
    fn a_cluster_without_slurm_says_so_once() {
        let probe = answer(&["\n", "msqueue", "msbatch", "v", "c127"], "");
        assert_eq!(probe.problems.len(), 2, "{:?}", probe.problems);
        assert_eq!(probe.slurm_version, None);
    }

    #[test]
    fn a_command_that_did_not_answer_in_time_says_so() {
        let probe = answer(&["\n", "c124"], "");
        assert_eq!(probe.problems, [Problem::Controller { words: "squeue did not answer in time".into() }]);
    }

    #[test]
    fn accounting_that_does_not_exist_is_no_problem() {
        let probe = answer(&["\n", "a1"], "\u{1e}sacct\nSlurm accounting storage is disabled\n");
        assert!(!probe.has_accounting && probe.problems.is_empty() && probe.associations.is_none());
    }

    #[test]
    fn versions_of_slurm_are_old_in_two_degrees() {
        let problem = |version: &str| answer(&["\n", &format!("vslurm {version}")], "").problems.pop();
        assert!(problem("19.05.8").unwrap().is_fatal());
        assert!(!problem("20.02.0").unwrap().is_fatal());
        for fine in ["20.11.9", "22.05.8", "26.05.0-0rc1", "unknown"] {
            assert_eq!(problem(fine), None, "{fine}");
        }
    }

    #[test]
    fn the_quota_of_the_homes_own_file_system_counts() {
        let quota = "q\nDisk quotas for user a (uid 1):\n Filesystem blocks quota limit grace files quota limit grace\n";
        let df = "knfs:/home 1000 10 990 1% /home";
        let of =
            |row: &str| answer(&["\n", "d/home/a/.towline", df, &format!("{quota}{row}")], "").room.bytes;
        assert_eq!(of("nfs:/home 5 0 9 1 0 0"), Some(Quota { used: 5 << 10, limit: 9 << 10 }));
        assert_eq!(of("nfs:/scratch 5 0 9 1 0 0"), None);
        assert_eq!(of("/home/a 5 0 9 - 1 0 0 -"), Some(Quota { used: 5 << 10, limit: 9 << 10 }));
        assert_eq!(of("/ho 5 0 9 - 1 0 0 -"), None);
    }

    #[test]
    fn an_answer_cut_short_is_an_error_that_tells_what_was_printed() {
        let told = |stdout: &str, stderr: &str| read(&output(stdout.into(), stderr)).unwrap_err().to_string();
        assert!(matches!(read(&output("\u{1e}lx\n".into(), "")), Err(ClusterError::Garbled { .. })));
        let nologin = told("This account is currently not available.\n", "");
        assert!(nologin.ends_with("it printed \"This account is currently not available.\""), "{nologin}");
        assert!(told("", "no such shell\n").contains("no such shell"));
    }

    #[test]
    fn a_date_without_decimals_tells_whole_seconds() {
        assert_eq!(moment("1795409917.5N"), Some(Timestamp::from_secs(1_795_409_917)));
        assert_eq!(moment("1795409917.250000999"), Some(Timestamp::from_micros(1_795_409_917_250_000)));
        assert_eq!(moment("1795409917.N"), Some(Timestamp::from_secs(1_795_409_917)));
        assert_eq!((moment(""), moment("9999999999999999999"), moment("x.1")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(
            lines in prop::collection::vec("[tTlugsSdmwkiqvcCPaA.](é|[a-z]{1,9}=|[0-9]{1,20}|\\||%|,|-|\\.|/|\n| ){0,30}", 0..12),
            stderr in "\u{1e}(home|squeue|sacct)\n[a-z: ]{0,20}"
        ) {
            let stdout: String = lines.iter().map(|line| format!("\u{1e}{line}\n")).collect();
            let whole = output(stdout + "\u{1e}.\n", &stderr);
            prop_assert!(read(&whole).is_ok());
        }
    }
}
