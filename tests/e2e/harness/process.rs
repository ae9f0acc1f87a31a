//! Programs that are run, and what they said.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait::eventually;

/// How a program ended and what it said.
pub(crate) struct Output {
    command: String,
    /// The exit code; 128 and the signal's number for a program that was killed, as in a shell.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// As one would see it in a terminal.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        write!(f, "$ {command}\n{stdout}{stderr}(exit code {code})")
    }
}

impl Output {
    /// Makes sure that it ended with this exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Makes sure that it ended well, and gives what it printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        self.code(0).stdout
    }

    /// Makes sure that it ended well, and reads the JSON that it printed.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let stdout = self.code(0).stdout;
        serde_json::from_str(&stdout).unwrap_or_else(|err| panic!("{err}: {stdout}"))
    }

    /// Makes sure that each text is somewhere on standard error.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not said: {self:?}");
        }
        self
    }

    /// Makes sure that each text is somewhere on the terminal.
    #[track_caller]
    pub(crate) fn shows(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "{text:?} is not shown: {self:?}");
        }
        self
    }

    /// Makes sure that it failed in the way in which every command fails: this exit code, nothing printed as data, one
    /// line `error: ` first, a line `hint: ` last, and these texts.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, texts: &[&str]) -> Self {
        let said = self.code(code).says(texts);
        assert_eq!(said.stdout, "", "{said:?}");
        let errors = said.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{said:?}");
        let last = said.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("hint: "), "{said:?}");
        said
    }
}

/// A program that runs. Killed when dropped.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
}

impl Running {
    /// Starts `command`, with `input` on its standard input.
    pub(crate) fn start(command: &mut Command, input: &[u8]) -> Self {
        let mut running =
            Self::with_stdin(command, if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        if let Some(mut stdin) = running.stdin.take() {
            // A program that reads nothing of it is no failure.
            drop(stdin.write_all(input));
        }
        running
    }

    /// Starts `command`, for which something is typed later.
    pub(crate) fn attended(command: &mut Command) -> Self {
        Self::with_stdin(command, Stdio::piped())
    }

    /// Types something.
    pub(crate) fn types(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    fn with_stdin(command: &mut Command, stdin: Stdio) -> Self {
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|err| panic!("{words:?}: {err}"));
        let (stdout, stderr) = (Stream::read(child.stdout.take()), Stream::read(child.stderr.take()));
        let stdin = child.stdin.take();
        Self { command: words.join(" "), child, stdin, stdout, stderr }
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> Output {
        let command = self.command.clone();
        let status = eventually(&command, limit, || self.child.try_wait().unwrap());
        self.stdout.finish();
        self.stderr.finish();
        Output { command, code: code(status), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The TCP ports of 127.0.0.1 on which a process listens; none once it has ended.
pub(crate) fn listening_ports(pid: u32) -> Vec<u16> {
    const LISTENS: &str = "0A";
    let link = |entry: fs::DirEntry| Some(fs::read_link(entry.path()).ok()?.to_str()?.to_owned());
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets: BTreeSet<String> = open.filter_map(link).collect();
    // See proc_pid_net(5): local address, state and inode are the fields 1, 3 and 9.
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = fields[3] == LISTENS && sockets.contains(&format!("socket:[{}]", fields[9]));
        ours.then(|| u16::from_str_radix(fields[1].split_once(':').unwrap().1, 16).unwrap())
    };
    fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1).filter_map(port).collect()
}

/// The processes of this machine, those of all hosts of the cluster too, whose command line holds a text: pid and command line.
pub(crate) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let look = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(text).then_some((pid, line))
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| look(entry.ok()?)).collect()
}

/// A stream that is read in the background.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(stream: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = bytes.clone();
        let reader = stream.map(|mut stream| {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    sink.lock().unwrap().extend(&piece[..count]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}
