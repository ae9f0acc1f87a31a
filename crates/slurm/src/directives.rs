//! The `#SBATCH` lines of a batch script: every value checked, so that none can end its line or begin another option.

use towline_core::resources::Resources;
use towline_core::spec::SpecError;

use towline_core::walltime::Walltime;

/// Options that Towline sets itself, or that would keep the job's id from it, with the reason why not.
const REFUSED: [(&str, &str, &str); 19] = [
    ("job-name", "J", "the job's name is how Towline finds it again"),
    ("output", "o", "the output goes to the service's log"),
    ("error", "e", "the output goes to the service's log"),
    ("input", "i", "the service reads no input"),
    ("open-mode", "", "the log of a requeued job is continued"),
    ("parsable", "", "Towline sets it"),
    ("quiet", "Q", "it hides the job's id"),
    ("array", "a", "a service is one job"),
    ("wrap", "", "Towline writes the script"),
    ("chdir", "D", "use towline's own --chdir"),
    ("workdir", "", "use towline's own --chdir"),
    ("test-only", "", "it submits nothing"),
    ("wait", "W", "it waits for the job's end"),
    ("clusters", "M", "jobs on other clusters need a profile of their own"),
    ("uid", "", "the job is yours"),
    ("gid", "", "the job is yours"),
    ("help", "h", "it submits nothing"),
    ("usage", "", "it submits nothing"),
    ("version", "V", "it submits nothing"),
];

/// The options of a job, one a line, without `#SBATCH ` before them.
///
/// # Errors
/// The first value that `sbatch` could not take, or that would mean something else there.
pub(crate) fn options(resources: &Resources) -> Result<Vec<String>, SpecError> {
    let r = resources;
    let mut options = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| format!("--{name}={value}")));
    };
    add("partition", word("partition", r.partition.as_deref())?);
    add("account", word("account", r.account.as_deref())?);
    add("qos", word("qos", r.qos.as_deref())?);
    add("reservation", word("reservation", r.reservation.as_deref())?);
    add("time", time(r.time.as_deref())?);
    add("nodes", count("nodes", r.nodes)?);
    add("ntasks-per-node", count("ntasks-per-node", r.ntasks_per_node)?);
    add("cpus-per-task", count("cpus", r.cpus)?);
    add("mem", memory(r.mem.as_deref())?);
    add("gpus", word("gpus", r.gpus.as_deref())?);
    add("gres", word("gres", r.gres.as_deref())?);
    add("constraint", word("constraint", r.constraint.as_deref())?);
    add("nodelist", word("nodelist", r.nodelist.as_deref())?);
    add("exclude", word("exclude", r.exclude.as_deref())?);
    options.extend(r.requeue.map(|yes| if yes { "--requeue" } else { "--no-requeue" }.to_owned()));
    for arg in &r.submit_args {
        options.push(submit_arg(arg)?);
    }
    Ok(options)
}

/// sbatch splits these lines at spaces, takes quotes and backslashes for its own, and drops what follows a `#`.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#')
}

fn word(field: &'static str, value: Option<&str>) -> Result<Option<String>, SpecError> {
    let Some(value) = value else { return Ok(None) };
    if value.is_empty() {
        return Err(SpecError::new(field, "it is empty"));
    }
    match value.chars().find(|&c| !is_plain(c)) {
        Some(c) => Err(SpecError::new(field, format!("{value:?} may not hold {c:?}"))),
        None => Ok(Some(value.to_owned())),
    }
}

fn count(field: &'static str, value: Option<u32>) -> Result<Option<String>, SpecError> {
    if value == Some(0) {
        return Err(SpecError::new(field, "it must be at least 1"));
    }
    Ok(value.map(|count| count.to_string()))
}

fn time(value: Option<&str>) -> Result<Option<String>, SpecError> {
    let Some(value) = value else { return Ok(None) };
    match value.parse::<Walltime>() {
        Ok(_) => Ok(Some(value.to_owned())),
        Err(error) => Err(SpecError::new("time", error.to_string())),
    }
}

/// A whole number and a unit; `sbatch` takes `500M` and `1GB` and refuses `1.5G` (seen with 22.05).
fn memory(value: Option<&str>) -> Result<Option<String>, SpecError> {
    let Some(value) = value else { return Ok(None) };
    let bare = value.strip_suffix(['B', 'b']).unwrap_or(value);
    let number = bare.strip_suffix(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']).unwrap_or(bare);
    let has_unit = number.len() < bare.len() || bare.len() == value.len();
    if !has_unit || number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        let problem =
            format!("{value:?} is no amount of memory: write a whole number and K, M, G or T, as 500M");
        return Err(SpecError::new("mem", problem));
    }
    Ok(Some(value.to_owned()))
}

fn submit_arg(arg: &str) -> Result<String, SpecError> {
    const FIELD: &str = "sbatch-arg";
    let bad = |problem: String| Err(SpecError::new(FIELD, format!("{arg:?}: {problem}")));
    if let Some(c) = arg.chars().find(|&c| !is_plain(c)) {
        return bad(format!("it may not hold {c:?}"));
    }
    let Some(long) = arg.strip_prefix("--") else {
        let Some(short) = arg.strip_prefix('-') else {
            return bad("it is one option, such as --nice=10".to_owned());
        };
        let refused = REFUSED.iter().find(|(_, letter, _)| !letter.is_empty() && short.starts_with(letter));
        return match refused {
            Some((name, _, why)) => bad(format!("--{name} is not for use here: {why}")),
            None => bad("write the option in its long form, as --name=value".to_owned()),
        };
    };
    let name = long.split('=').next().unwrap_or_default();
    if name.len() < 2 || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return bad("it is one option, such as --nice=10".to_owned());
    }
    // sbatch takes any unambiguous beginning of an option's name for the option.
    match REFUSED.iter().find(|(refused, _, _)| refused.starts_with(name)) {
        Some((refused, _, why)) => bad(format!("--{refused} is not for use here: {why}")),
        None => Ok(arg.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(change: impl FnOnce(&mut Resources)) -> Result<Vec<String>, SpecError> {
        let mut resources = Resources::default();
        change(&mut resources);
        options(&resources)
    }

    #[test]
    fn nothing_asked_is_left_to_the_site() {
        assert_eq!(with(|_| ()), Ok(vec![]));
    }

    #[test]
    fn every_field_becomes_its_option() {
        let all = with(|r| {
            r.time = Some("1-12:30".into());
            r.mem = Some("500M".into());
            r.cpus = Some(4);
            r.gpus = Some("a100:2".into());
            r.gres = Some("gpu:a100:2,shard:1".into());
            r.nodes = Some(2);
            r.ntasks_per_node = Some(1);
            r.partition = Some("gpu,gpu-long".into());
            r.constraint = Some("[rack1*2&rack2*4]|(a&!b)".into());
            r.account = Some("12345".into());
            r.qos = Some("high".into());
            r.reservation = Some("course".into());
            r.nodelist = Some("c[1-3,7],d4".into());
            r.exclude = Some("c2".into());
            r.requeue = Some(false);
            r.submit_args = vec!["--nice=10".into(), "--exclusive".into(), "--wait-all-nodes=1".into()];
        });
        insta::assert_snapshot!(all.unwrap().join("\n"));
        assert_eq!(with(|r| r.requeue = Some(true)), Ok(vec!["--requeue".into()]));
    }

    #[test]
    fn a_bad_value_is_named() {
        let field = |change: fn(&mut Resources)| with(change).unwrap_err().field;
        assert_eq!(field(|r| r.partition = Some("a b".into())), "partition");
        assert_eq!(field(|r| r.partition = Some("a\n#SBATCH --uid=0".into())), "partition");
        assert_eq!(field(|r| r.account = Some(String::new())), "account");
        assert_eq!(field(|r| r.qos = Some("\"x\"".into())), "qos");
        assert_eq!(field(|r| r.constraint = Some("a#b".into())), "constraint");
        assert_eq!(field(|r| r.nodelist = Some("c\\1".into())), "nodelist");
        assert_eq!(field(|r| r.exclude = Some("é".into())), "exclude");
        assert_eq!(field(|r| r.time = Some("soon".into())), "time");
        assert_eq!(field(|r| r.nodes = Some(0)), "nodes");
        assert_eq!(field(|r| r.cpus = Some(0)), "cpus");
    }

    #[test]
    fn memory_is_a_whole_number() {
        for good in ["0", "500", "500M", "1g", "1GB", "2T", "16K"] {
            assert!(memory(Some(good)).is_ok(), "{good}");
        }
        for bad in ["", "1.5G", "M", "B", "5B", "-1", "1 G", "1P", "G1", "1MM"] {
            assert!(memory(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn arguments_that_would_break_the_job_are_refused_in_every_spelling() {
        for bad in [
            "--job-name=x",
            "--job=x",
            "-Jx",
            "-J",
            "--output=x",
            "--out=x",
            "-ox",
            "--error=x",
            "-e",
            "--array=1-2",
            "-a1",
            "--wrap=ls",
            "--chdir=/",
            "-D/",
            "--test-only",
            "--test",
            "--wait",
            "-W",
            "--clusters=x",
            "-Mx",
            "--cluster=x",
            "--parsable",
            "--open-mode=truncate",
            "--input=x",
            "--quiet",
            "--qu",
            "--help",
            "--uid=0",
            "",
            "-",
            "--",
            "---",
            "x",
            "--x y=1",
            "--comment=a b",
            "--nice=\"1\"",
            "--a\nb",
            "-n1",
            "--Nice=1",
            "--=x",
        ] {
            let error = submit_arg(bad).unwrap_err();
            assert_eq!(error.field, "sbatch-arg", "{bad}");
        }
        for good in [
            "--nice=10",
            "--exclusive",
            "--begin=now+1hour",
            "--wait-all-nodes=1",
            "--export=NONE",
            "--hold",
            "--dependency=after:1",
            "--mail-type=END",
            "--licenses=a:2",
            "--signal=B:USR1@60",
            "--comment=x=y",
        ] {
            assert_eq!(submit_arg(good).as_deref(), Ok(good));
        }
    }

    proptest! {
        #[test]
        fn no_value_ever_leaves_its_line(value in "\\PC*|[ -~\\n\\r\\t]*", arg in "--[a-z]{2,9}=[ -~\\n]*") {
            let result = with(|r| {
                r.partition = Some(value.clone());
                r.mem = Some(value.clone());
                r.time = Some(value);
                r.submit_args = vec![arg];
            });
            if let Ok(options) = result {
                for option in options {
                    prop_assert!(option.starts_with("--") && option.chars().all(is_plain), "{option:?}");
                }
            }
        }
    }
}
