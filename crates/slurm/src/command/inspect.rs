//! A closer look at one service's job, in one remote command: its row in the queue, its place there and the limits that
//! bear on it while it waits, its node while it runs, its memory once it has ended; and the end of its log.

use towline_core::id::ServiceId;
use towline_core::job::JobState;
use towline_core::lifecycle::{Phase, Stage};
use towline_core::ports::{InspectError, ShellOutput};
use towline_core::service::Service;
use towline_core::time::Timestamp;
use towline_core::why::{Asked, Evidence, Limit, Memory, Position};

use super::survey;
use crate::frame::{self, MARK, PRELUDE, UNIT, split_line};
use crate::home::Home;
use crate::parse::sacct;
use crate::parse::text::{bytes, epoch, is_number, token, told};

/// The most bytes of the log that one answer carries, and the most lines.
const LOG_BYTES: u32 = 64 << 10;
const LOG_LINES: u32 = 200;

/// What is asked of the queue, as `squeue -o` takes it, with `|` where the unit separator belongs: job, state, reason,
/// expected start, priority, partition, account, user, quality of service, time limit, nodes, CPUs, memory, generic
/// resources, dependency, required nodes, features, licenses, reservation; the name stands last. The letters mean the
/// same in every Slurm from 20.11 to 26.05 (squeue(1)).
const FORMAT: &str = "%A|%T|%r|%S|%Q|%P|%a|%u|%q|%l|%D|%C|%m|%b|%E|%n|%f|%W|%v|%j|";

/// What is asked of accounting: the job and its steps. All are known from 20.11 on.
const FIELDS: &str = "JobID,ReqMem,MaxRSS,AllocTRES,NNodes,JobName";

/// Why there is no place in the queue where other users' jobs may be hidden.
const HIDDEN: &str = "its place in the queue: all jobs that are seen to wait there are yours, and the cluster may hide those of others";

/// The steps of the look. Whatever fails says so and harms no other; the questions after the first get a short time.
///
/// The queue of a whole partition is counted where it is: one line comes back. That question costs the controller most,
/// so it is asked only for a job that has a place there, and of the others those that could start now count. Where all
/// that are seen are the user's own, others may be hidden (`PrivateData`, slurm.conf(5)). `sacctmgr` prints its default columns
/// with a heading, as every version does, instead of chosen ones, of which one that it does not know would spoil all.
const TEXT: &str = r#"export LC_ALL=C SLURM_TIME_FORMAT=%s
short=5
answer() { [ "$1" -eq 0 ] || { say "g$2 $1"; false; }; }
waiting() {
  section squeue
  rows=$(bounded "$seconds" squeue --me -t all -h -o "$format")
  answer $? squeue || return
  row=$(printf '%s\n' "$rows" | grep -e "-$token$unit\$" | head -n 1)
  [ -n "$row" ] || return
  say "Q$row"
  IFS=$unit read -r id state reason start priority partition account user qos rest <<END_OF_ROW
$row
END_OF_ROW
  [ "$state" = PENDING ] || return
  case $reason in
    JobHeld* | JobHold* | *held*) ;;
    *) place ;;
  esac
  section partition
  set -f
  IFS=,
  for one in $partition; do
    unset IFS
    found=$(bounded "$short" scontrol -o show partition "$one")
    answer $? partition && say "P$(printf '%s\n' "$found" | head -c 4096)"
  done
  unset IFS
  set +f
  case $reason in
    Assoc*)
      limits assoc "user=$user" "account=$account"
      limits assoc user= "account=$account" ;;
    QOS* | Max*Per*) limits qos "name=$qos" ;;
  esac
}
place() {
  section queue
  rows=$(bounded "$short" squeue -h -t PENDING -p "$partition" -o '%A %Q %u %r')
  answer $? queue || return
  set -- $(printf '%s\n' "$rows" | awk -v id="$id" -v priority="$priority" -v user="$user" '
    NF < 4 || $1 == id { next }
    $3 != user { others++ }
    $2 + 0 == 0 || $4 ~ /^(JobHeld|JobHold|Dependency|BeginTime)/ || /held/ { next }
    { all++ }
    $2 + 0 > priority + 0 || ($2 + 0 == priority + 0 && $1 + 0 < id + 0) { ahead++ }
    END { print ahead + 0, all + 1, others + 0 }')
  if [ "$3" -eq 0 ]; then
    section config
    found=$(bounded "$short" scontrol show config)
    answer $? config || return
    hidden=$(printf '%s\n' "$found" | awk '$1 == "PrivateData" { print $3 }')
    case ",$hidden," in
      ,, | *,jobs,*) say h; return ;;
    esac
  fi
  say "p$1 $2"
}
limits() {
  command -v sacctmgr >/dev/null 2>&1 || return
  section sacctmgr
  found=$(bounded "$short" sacctmgr -P show "$1" where "$2" $3)
  answer $? sacctmgr && say "L
$(printf '%s\n' "$found" | head -c 16384)"
}
running() {
  section sinfo
  found=$(bounded "$seconds" sinfo -h -N -n "$node" -o "%T$unit%E$unit")
  answer $? sinfo && say "N$(printf '%s\n' "$found" | head -n 1)"
}
ended() {
  section sacct
  rows=$(bounded "$seconds" sacct -n -p --delimiter="$unit" -j "$job" -o "$fields")
  answer $? sacct && say "A
$(printf '%s\n' "$rows" | head -n 50)"
}
case $subject in
  waiting) waiting ;;
  running) running ;;
  ended) if command -v sacct >/dev/null 2>&1; then ended; fi ;;
esac
log=$dir/server.log
if [ -f "$log" ] && [ -r "$log" ]; then
  say l
  tail -c "$bytes" "$log" | tail -n "$lines"
  printf '\n'
fi
finish
"#;

/// The text of the remote command; `seconds` is what its first question to Slurm is given.
pub(crate) fn script(service: &Service, home: &Home, seconds: u64) -> String {
    let job = service.life.phase.job();
    let id = job.map(|job| job.id.as_str()).filter(|id| is_number(id));
    let node = job.and_then(|job| job.node.as_deref()).filter(|node| is_host(node));
    let is_queued = job.is_some_and(|job| job.state == Some(JobState::Queued));
    let subject = match &service.life.phase {
        Phase::Live { stage: Stage::Accepted | Stage::Pending, .. } => "waiting",
        Phase::Live { .. } if is_queued => "waiting",
        Phase::Live { .. } if node.is_some() => "running",
        Phase::Ended(_) if id.is_some() => "ended",
        Phase::Intent | Phase::Sending { .. } | Phase::Live { .. } | Phase::Ended(_) => "nothing",
    };
    format!(
        "{PRELUDE}subject={subject}\ntoken={token}\njob={id}\nnode={node}\ndir={dir}\nseconds={seconds}\n\
         bytes={LOG_BYTES}\nlines={LOG_LINES}\nunit='{UNIT}'\nformat='{format}'\nfields={FIELDS}\n{TEXT}",
        token = service.id,
        id = id.unwrap_or_default(),
        node = node.unwrap_or_default(),
        dir = home.service_word(service.id),
        format = FORMAT.replace('|', &UNIT.to_string()),
    )
}

/// Whether this is the name of a host, which a shell takes as it is.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Reads the answer of [`script`].
pub(crate) fn read(id: ServiceId, output: &ShellOutput) -> Result<Evidence, InspectError> {
    let problem = || InspectError::Garbled { problem: frame::incomplete(output) };
    let records = frame::records(output).ok_or_else(problem)?;
    let log = records.iter().position(|(letter, _)| *letter == 'l');
    let (told_by_slurm, log) = records.split_at(log.unwrap_or(records.len()));
    let mut evidence = Evidence { reached: Some(true), ..Evidence::default() };
    for (letter, text) in told_by_slurm {
        let (line, more) = split_line(text);
        match letter {
            'Q' => read_row(&mut evidence, id, line),
            'p' => evidence.position = read_position(line),
            'h' => evidence.gaps.push(HIDDEN.to_owned()),
            'P' => evidence.limits.extend(partition_limits(line)),
            'L' => evidence.limits.extend(account_limits(more)),
            'N' => evidence.node = read_node(line),
            'A' => evidence.memory = read_memory(id, more),
            // A controller that does not answer says so to each question.
            'g' => evidence.gaps.extend(read_gap(line, output).filter(|gap| !evidence.gaps.contains(gap))),
            _ => {}
        }
    }
    // A line of the log may look like one of ours, so that it came as several records.
    let pieces = log.iter().enumerate().map(|(index, (letter, text))| match index {
        0 => text.trim_start_matches(['\r', '\n']).to_owned(),
        _ => format!("{MARK}{letter}{text}"),
    });
    evidence.log = (!log.is_empty()).then(|| pieces.collect::<Vec<_>>().join("\n"));
    Ok(evidence)
}

/// The job's row in the queue. One of another name, or of another number of fields, tells nothing.
fn read_row(evidence: &mut Evidence, id: ServiceId, line: &str) {
    let fields: Vec<&str> = line.split(UNIT).collect();
    let &[
        _,
        state,
        reason,
        start,
        _,
        partition,
        account,
        _,
        qos,
        time,
        nodes,
        cpus,
        memory,
        gres,
        dependency,
        nodelist,
        features,
        licenses,
        reservation,
        name,
        _,
    ] = fields.as_slice()
    else {
        return;
    };
    if token(name) != Some(id) {
        return;
    }
    let owned = |text: &str| told(text).map(str::to_owned);
    if state == "PENDING" {
        evidence.reason = Some(reason.trim().to_owned());
        evidence.starts_at = epoch(start).map(Timestamp::from_secs);
    }
    evidence.asked = Asked {
        partition: owned(partition),
        account: owned(account),
        qos: owned(qos),
        time: owned(time),
        nodes: owned(nodes),
        cpus: owned(cpus),
        memory: owned(memory),
        gres: owned(gres),
        dependency: owned(dependency),
        nodelist: owned(nodelist),
        features: owned(features),
        licenses: owned(licenses),
        reservation: owned(reservation),
    };
}

fn read_position(line: &str) -> Option<Position> {
    let (ahead, waiting) = line.split_once(' ')?;
    Some(Position { ahead: ahead.parse().ok()?, waiting: waiting.parse().ok()? })
}

/// Limits of a partition as `scontrol -o show partition` tells them: words of the form `Name=value`.
fn partition_limits(line: &str) -> Vec<Limit> {
    let pairs = || line.split_whitespace().filter_map(|word| word.split_once('='));
    let Some((_, partition)) = pairs().find(|(name, _)| *name == "PartitionName") else { return Vec::new() };
    let wanted = ["MaxTime", "MaxNodes", "TotalNodes", "MaxMemPerNode", "MaxMemPerCPU"];
    pairs()
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, value)| Limit {
            of: format!("partition {partition}"),
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .collect()
}

/// Limits as `sacctmgr -P show assoc` or `show qos` tells them: a heading and rows of as many fields, of which a row of
/// an account alone has no user.
fn account_limits(text: &str) -> Vec<Limit> {
    let mut lines = text.lines().map(|line| line.split('|').collect::<Vec<_>>());
    let Some(heading) = lines.next() else { return Vec::new() };
    let column = |row: &[&str], name: &str| {
        let at = heading.iter().position(|heading| *heading == name)?;
        row.get(at).filter(|value| !value.is_empty()).map(|value| (*value).to_owned())
    };
    let limits = |row: Vec<&str>| {
        let of = match (column(&row, "Name"), column(&row, "Account"), column(&row, "User")) {
            (Some(qos), ..) => format!("quality of service {qos}"),
            (None, Some(account), Some(user)) => format!("user {user} in account {account}"),
            (None, Some(account), None) => format!("account {account}"),
            (None, None, _) => return Vec::new(),
        };
        let named = |name: &&&str| ["Max", "Grp", "Min"].iter().any(|kind| name.starts_with(kind));
        let told = heading.iter().filter(named).filter_map(|name| Some((*name, column(&row, name)?)));
        told.map(|(name, value)| Limit { of: of.clone(), name: name.to_owned(), value }).collect()
    };
    lines.flat_map(limits).collect()
}

/// State of a node and the reason that is noted for it.
fn read_node(line: &str) -> Option<String> {
    let mut fields = line.split(UNIT);
    let state = told(fields.next()?)?;
    Some(match fields.next().and_then(told).filter(|why| *why != "none") {
        Some(why) => format!("{state} ({why})"),
        None => state.to_owned(),
    })
}

/// What a job's memory came to: what it was given on each node, and the most that one of its steps was seen using.
/// Nothing is told of a job that is not the service's own.
fn read_memory(id: ServiceId, text: &str) -> Memory {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(UNIT).collect()).collect();
    let mut memory = Memory::default();
    for row in &rows {
        let &[job, asked, _, given, nodes, name, _] = row.as_slice() else { continue };
        if is_number(job) && token(name) == Some(id) {
            let of = |tres: &str| given.split(',').find_map(|given| given.strip_prefix(tres));
            let nodes = nodes.parse().unwrap_or(1).max(1);
            let cpus = of("cpu=").and_then(|cpus| cpus.parse().ok());
            let given = of("mem=").and_then(bytes).map(|given| given / nodes);
            memory.limit = given.or_else(|| asked_on_a_node(asked, nodes, cpus));
            let step = |row: &&Vec<&str>| row.first().and_then(|step| step.strip_prefix(job)).is_some();
            let peaks = rows.iter().filter(step).filter_map(|row| bytes(row.get(2)?));
            memory.peak = peaks.max().filter(|peak| *peak > 0);
        }
    }
    memory
}

/// What `ReqMem` comes to on each of a job's nodes. Up to 20.11 it is that of a node (`100Mn`) or of a CPU (`100Mc`), and
/// from 21.08 on that of the whole job (sacct(1)); its CPUs are taken to be spread evenly.
fn asked_on_a_node(asked: &str, nodes: u64, cpus: Option<u64>) -> Option<u64> {
    let amount = bytes(asked)?;
    match asked.trim().chars().last() {
        Some('n') => Some(amount),
        Some('c') => Some(amount.checked_mul(cpus?)? / nodes),
        _ => Some(amount / nodes),
    }
}

/// What could not be learnt. A cluster without accounting has nothing more to tell.
fn read_gap(line: &str, output: &ShellOutput) -> Option<String> {
    let (section, code) = line.split_once(' ')?;
    let words = survey::failure(section, code, output);
    (!sacct::is_disabled(&words)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ID, record};
    use proptest::prelude::*;

    fn answer(stdout: &str) -> Result<Evidence, InspectError> {
        read(ID.parse().unwrap(), &ShellOutput { stdout: stdout.into(), stderr: Vec::new(), code: 0 })
    }

    #[test]
    fn a_row_of_another_name_tells_nothing() {
        let row = |name: &str| {
            let mut fields = ["x"; 20];
            (fields[1], fields[2], fields[19]) = ("PENDING", "Resources", name);
            format!("motd\n\u{1e}Q{}\n\u{1e}.\n", record(&fields))
        };
        assert_eq!(answer(&row(&format!("web-{ID}"))).unwrap().reason.as_deref(), Some("Resources"));
        assert_eq!(answer(&row("web")).unwrap(), Evidence { reached: Some(true), ..Evidence::default() });
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        assert!(matches!(answer("\u{1e}p1 2\n"), Err(InspectError::Garbled { .. })));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(
            lines in prop::collection::vec("[QphPLNAgl.x]?(\u{1f}|=|\\||[a-z0-9 ]){0,30}", 0..9), stdout: Vec<u8>
        ) {
            let lines: String = lines.iter().map(|line| format!("\u{1e}{line}\n")).collect();
            let whole = answer(&(lines + "\u{1e}.\n"));
            prop_assert!(whole.is_ok());
            drop(answer(&String::from_utf8_lossy(&stdout)));
        }
    }
}
