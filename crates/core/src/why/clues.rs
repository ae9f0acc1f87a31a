//! What a log says in words that many programs share.

/// How many of the last lines of a log are shown.
const SHOWN: usize = 10;

/// The longest part of a line that is passed on, in characters.
const LINE: usize = 300;

/// How many lines apart signs may stand that are taken to be of one trouble.
const TOGETHER: usize = 6;

/// What a line says that tells of no trouble by itself: the program goes on after it.
const HARMLESS: [&str; 4] = ["warning", " warn ", "[warn]", "falling back"];

/// Ends what a log tells of earlier runs of a requeued job: the runner's words.
const RESTART: &str = "towline: --- restart ";

/// What a missing file is told as.
pub(super) const NO_FILE: &str = "a file is missing";

/// Something that a log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clue {
    /// A sentence fragment.
    pub(super) meaning: &'static str,
    pub(super) advice: &'static str,
    /// The line that says it.
    pub(super) line: String,
}

impl Clue {
    /// What to do if it matters, for a log that may tell of something else.
    pub(super) fn perhaps(&self) -> String {
        format!("a line of the log may matter, by which {}: if so, {}", self.meaning, self.advice)
    }
}

/// What a row is found by: a part of a line in whatever case, or an end of one as it is written; any will do. A line
/// begins with a space for its parts.
struct Sign {
    parts: &'static [&'static str],
    ends: &'static [&'static str],
    meaning: &'static str,
    advice: &'static str,
}

/// The signs, telling ones before those that often follow from them at once.
///
/// Sources: the messages of bash and dash, of glibc's `strerror` and its dynamic loader, of Python's and Node's
/// exceptions, of Lmod and Environment Modules, of PyTorch, CUDA and llama.cpp, of a container engine (1.4), and of `slurmstepd`.
#[rustfmt::skip]
const SIGNS: &[Sign] = &[
    Sign {
        parts: &["towline: the command listens on port"],
        ends: &[],
        meaning: "the server listens on another port than its own",
        advice: "let it take the port from '{port}' in its command or from $PORT",
    },
    Sign {
        parts: &["where other users reach it, and was ended"],
        ends: &[],
        meaning: "the server listened where other users reach it, and was to listen on the loopback interface alone",
        advice: "let it take its address from '{host}' in its command or from $HOST; or run it with --bind all",
    },
    Sign {
        parts: &["only, out of reach from other hosts"],
        ends: &[],
        meaning: "the server listens on the loopback interface only",
        advice: "let it bind 0.0.0.0, such as with --host 0.0.0.0 in its command",
    },
    Sign {
        parts: &["no module named"],
        ends: &[],
        meaning: "a Python module is missing",
        advice: "install it there, or activate the environment that has it with --setup, such as --setup 'source venv/bin/activate'",
    },
    Sign {
        parts: &[" module: command not found", " module: not found", " ml: command not found", " ml: not found"],
        ends: &[],
        meaning: "environment modules are not set up in the job's shell",
        advice: "set them up before they are used, such as --setup 'source /etc/profile.d/modules.sh' or --setup 'source /etc/profile.d/lmod.sh'",
    },
    Sign {
        parts: &["unable to locate a modulefile", "module(s) are unknown", "module(s) exist but cannot be loaded", "lmod has detected the following error"],
        ends: &[],
        meaning: "an environment module is missing",
        advice: "`module avail` or `module spider` on the cluster tells the names; correct the --setup line",
    },
    Sign {
        parts: &["cuda out of memory", "outofmemoryerror: cuda", "cuda_error_out_of_memory", "cudaerrormemoryallocation", "hip out of memory", "cudamalloc failed: out of memory", "cublas_status_alloc_failed"],
        ends: &[],
        meaning: "the GPU's memory is used up",
        advice: "ask for a GPU with more memory or for more GPUs with --gres or --gpus, or load less: a smaller model, batch or context",
    },
    Sign {
        parts: &["no cuda-capable device is detected", "no cuda gpus are available", "found no nvidia driver", "no devices were found"],
        ends: &[],
        meaning: "there is no GPU where it runs",
        advice: "ask for one with --gres or --gpus, on a --partition that has them",
    },
    Sign {
        parts: &["cuda driver version is insufficient"],
        ends: &[],
        meaning: "the node's CUDA driver is older than what the program needs",
        advice: "use a build of the program for an older CUDA, or nodes with a newer driver",
    },
    Sign {
        parts: &["address already in use", "eaddrinuse", "address in use", "port is already allocated", "only one usage of each socket address"],
        ends: &[],
        meaning: "its port is in use by another program",
        advice: "let it take the port from '{port}' in its command or from $PORT, which is chosen anew for each run, and start no second server in the same job",
    },
    Sign {
        parts: &["oom-kill", "oom_kill", "oom killed", "oom killer", "exceeded memory limit", "memoryerror", "bad_alloc", "cannot allocate memory"],
        ends: &[],
        meaning: "the memory that it may use on its node is used up",
        advice: "ask for more with --mem, or load less",
    },
    Sign {
        parts: &["disk quota exceeded", "edquot"],
        ends: &[],
        meaning: "your disk quota is used up",
        advice: "free some space there, or let caches go elsewhere with --env, such as --env HF_HOME=/scratch/you/hf",
    },
    Sign {
        parts: &["no space left on device", "enospc"],
        ends: &[],
        meaning: "a file system is full",
        advice: "free some space there, or write elsewhere, such as with --env TMPDIR=/scratch/you",
    },
    Sign {
        parts: &["error while loading shared libraries", "cannot open shared object file", "version `glibc", "version `glibcxx"],
        ends: &[],
        meaning: "a shared library is missing, or is of another version than the program needs",
        advice: "load the module that has it with --setup, such as --setup 'module load gcc', or use a build for that system",
    },
    Sign {
        parts: &["exec format error"],
        ends: &[],
        meaning: "the program is not made for that machine",
        advice: "use a build for the nodes' processors, or choose other nodes with --constraint",
    },
    Sign {
        parts: &["could not open image"],
        ends: &[],
        meaning: "the image of its container is not there, or is none",
        advice: "bring it there with `towline image add`, or name another one with --image: a path must be one of the node's",
    },
    Sign {
        parts: &["failed to get checksum for", "no default remote with", "while building sif"],
        ends: &[],
        meaning: "the image of its container could not be fetched",
        advice: "bring it there beforehand with `towline image add`: nodes often reach no registry; or correct its name",
    },
    Sign {
        parts: &["container creation failed"],
        ends: &[],
        meaning: "its container could not be made",
        advice: "check what the line names: paths to be mounted must be there on the node",
    },
    Sign {
        parts: &["command not found", "executable file not found"],
        // The words of dash; a web server's log may say `404: Not Found`.
        ends: &[": not found"],
        meaning: "a command was not found",
        advice: "name it by its whole path, or put it on the PATH there with --setup, such as --setup 'module load python' or --setup 'source venv/bin/activate'",
    },
    Sign {
        parts: &["permission denied", "eacces", "permissionerror", "operation not permitted"],
        ends: &[],
        meaning: "a permission is missing",
        advice: "check the owner and the mode of what the line names (`ls -l` there), and whether a program is executable",
    },
    Sign {
        parts: &["no such file or directory", "filenotfounderror", "enoent"],
        ends: &[],
        meaning: NO_FILE,
        advice: "check the path that the line names: it must exist on the node, and is relative to --chdir",
    },
    Sign {
        parts: &["segmentation fault", "core dumped", "illegal instruction"],
        ends: &[],
        meaning: "the program crashed",
        advice: "look at the lines before it; a build for other processors crashes so as well",
    },
    Sign {
        parts: &["due to time limit"],
        ends: &[],
        meaning: "the job reached its time limit",
        advice: "ask for more with --time",
    },
    Sign {
        parts: &["due to preemption"],
        ends: &[],
        meaning: "the job had to make room for another one",
        advice: "let the scheduler start it again with --requeue",
    },
    // The words by which a shell or the runner says that a child was killed. They tell the least.
    Sign {
        parts: &[" killed  "],
        ends: &["Killed", "SIGKILL", "ended by signal 9"],
        meaning: "it was killed",
        advice: "most often that is the kernel's doing, for memory: ask for more with --mem; the cluster's administrators may tell more",
    },
];

impl Sign {
    fn is_in(&self, line: &str, lower: &str) -> bool {
        self.parts.iter().any(|part| lower.contains(part)) || self.ends.iter().any(|end| line.ends_with(end))
    }
}

/// What the present run's part of a log says: of the last sign and those close before it the most telling one, and the
/// last line that has it. What stands further up was overcome.
pub(super) fn find(log: &str) -> Option<Clue> {
    let lines: Vec<&str> = present_run(log).lines().map(str::trim_end).collect();
    let mut found = lines.iter().enumerate().rev().filter_map(|(at, line)| Some((at, rank(line)?, *line)));
    let last = found.next()?;
    let close = found.take_while(|(at, ..)| last.0 - at < TOGETHER);
    let (_, rank, line) = std::iter::once(last).chain(close).min_by_key(|(_, rank, _)| *rank)?;
    let Sign { meaning, advice, .. } = SIGNS.get(rank)?;
    Some(Clue { meaning, advice, line: cut(line) })
}

/// The place of the most telling sign that a line has among all of them.
fn rank(line: &str) -> Option<usize> {
    let lower = format!(" {}", line.to_lowercase());
    if HARMLESS.iter().any(|words| lower.contains(words)) {
        return None;
    }
    SIGNS.iter().position(|sign| sign.is_in(line, &lower))
}

/// The last lines that say anything.
pub(super) fn last_lines(log: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        log.lines().rev().filter(|line| !line.trim().is_empty()).take(SHOWN).map(cut).collect();
    lines.reverse();
    lines
}

fn present_run(log: &str) -> &str {
    log.rfind(RESTART).map_or(log, |at| &log[at..])
}

fn cut(line: &str) -> String {
    line.trim_end().chars().take(LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_the_last_restart_on() {
        let log = "bash: x: command not found\n\ntowline: --- restart 1 of job 7 on c1 ---\nloading\n";
        assert_eq!(find(log), None);
        assert!(find(&log.replace("restart", "start")).is_some());
    }

    #[test]
    fn the_last_line_that_tells_is_told() {
        let log = "sh: 1: a: not found\nsh: 2: b: not found\n";
        assert_eq!(find(log).unwrap().line, "sh: 2: b: not found");
    }

    #[test]
    fn the_last_sign_of_a_log_is_told_and_not_what_was_overcome() {
        let meaning = |log: &str| find(log).map(|clue| clue.meaning);
        let probed = "ImportError: No module named 'flash_attn'\n".to_owned() + &"loading\n".repeat(TOGETHER);
        assert_eq!(meaning(&(probed.clone() + "CUDA out of memory\n")), Some("the GPU's memory is used up"));
        assert_eq!(meaning(&(probed + "Killed\n")), Some("it was killed"));
        let at_once = "No module named 'x'\n".to_owned() + &"at y\n".repeat(TOGETHER - 2) + "Killed\n";
        assert_eq!(meaning(&at_once), Some("a Python module is missing"));
    }

    #[test]
    fn lines_that_say_that_the_program_goes_on_are_no_signs() {
        for line in [
            "WARNING: No module named 'flash_attn'",
            "UserWarning: libcuda.so: cannot open shared object file: No such file or directory",
            "[2026-11-23] WARN cache: No such file or directory",
            "No module named 'triton', falling back to torch",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
    }

    #[test]
    fn a_command_whose_name_ends_as_anothers_is_that_command() {
        for (line, meaning) in [
            ("job.sh: line 3: toyaml: command not found", "a command was not found"),
            (
                "job.sh: line 3: ml: command not found",
                "environment modules are not set up in the job's shell",
            ),
            ("sh: 1: mymodule: not found", "a command was not found"),
            ("ml: command not found", "environment modules are not set up in the job's shell"),
        ] {
            assert_eq!(find(line).unwrap().meaning, meaning, "{line}");
        }
    }

    #[test]
    fn words_that_mean_something_else_are_no_signs() {
        for log in
            ["killed 3 idle workers", "workers were killed", "\"GET /none HTTP/1.1\" 404: Not Found", ""]
        {
            assert_eq!(find(log), None, "{log}");
        }
        for log in ["job.sh: line 9: 4711 Killed\n", "x: line 9: 4711 Killed                  python3 x.py"] {
            assert_eq!(find(log).unwrap().meaning, "it was killed", "{log}");
        }
    }

    #[test]
    fn lines_are_few_and_short() {
        let log = format!("{}\n\n{}", "a\n".repeat(99), "é".repeat(999));
        let lines = last_lines(&log);
        assert_eq!((lines.len(), lines[SHOWN - 1].chars().count()), (SHOWN, LINE));
    }
}
