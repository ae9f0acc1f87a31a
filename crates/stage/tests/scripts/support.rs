//! A login host: a real shell of this machine with a home of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tempfile::TempDir;
use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript};
use towline_stage::{
    Begun, Choice, Errand, Hub, Manifest, Place, Places, Progress, Stage, StageError, State, Token, Want,
};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    pub(crate) root: TempDir,
    pub(crate) stage: Stage,
    shell: Arc<LocalShell>,
}

struct LocalShell {
    /// What goes before the commands of the machine, or stands in their place.
    path: String,
    program: &'static str,
    root: PathBuf,
    runs: AtomicUsize,
}

#[async_trait]
impl RemoteShell for LocalShell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        use std::io::Write as _;
        self.runs.fetch_add(1, Ordering::Relaxed);
        let text = script.text.clone();
        let mut child = Command::new(Path::new("/bin").join(self.program))
            .arg("-s")
            .env_clear()
            .env("HOME", self.root.join("home"))
            .env("PATH", &self.path)
            // What a login exports under a name of ours.
            .env("token", "exported")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = tokio::task::spawn_blocking(move || drop(stdin.write_all(text.as_bytes())));
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        feed.await.unwrap();
        Ok(ShellOutput {
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.status.code().unwrap_or(-1),
        })
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with("sh")
    }

    /// With `program` for a shell, and a name of its cache that is no plain word.
    pub(crate) fn with(program: &'static str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "home", "a cache"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let cache = root.path().join("a cache");
        Self::at(root, program, &cache)
    }

    pub(crate) fn at(root: TempDir, program: &'static str, cache: &Path) -> Self {
        let path = format!("{}:/usr/bin:/bin", root.path().join("bin").display());
        Self::of(root, program, cache, path)
    }

    /// The same host with the commands of one directory alone.
    pub(crate) fn with_path(self, path: &Path) -> Self {
        let cache = self.path("a cache");
        Self::of(self.root, self.shell.program, &cache, path.display().to_string())
    }

    fn of(root: TempDir, program: &'static str, cache: &Path, path: String) -> Self {
        let shell =
            Arc::new(LocalShell { path, program, root: root.path().to_owned(), runs: AtomicUsize::new(0) });
        let places = Places {
            home: "~/.tow line".parse().unwrap(),
            cache: Some(cache.to_str().unwrap().parse().unwrap()),
        };
        let stage = Stage::new(shell.clone(), places).with_pause(0);
        Self { root, stage, shell }
    }

    /// How many remote commands were sent.
    pub(crate) fn runs(&self) -> usize {
        self.shell.runs.load(Ordering::Relaxed)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The cache of models.
    pub(crate) fn models(&self) -> PathBuf {
        self.path("a cache/models")
    }

    /// A command of this host, which goes before that of the machine.
    pub(crate) fn command(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Asks for the list and begins.
    pub(crate) async fn begin(
        &self,
        hub: &Hub,
        want: &Want,
        token: Option<&Token>,
    ) -> Result<Manifest, StageError> {
        let manifest = self.stage.manifest(hub, token, want, &Choice::default()).await?;
        let begun = self.stage.download(hub, token, &manifest, &Place::Here).await?;
        assert_eq!(begun, Begun::Started(None));
        Ok(manifest)
    }

    /// All of it: asks, begins, and waits for the end.
    pub(crate) async fn add(
        &self,
        hub: &Hub,
        want: &Want,
        token: Option<&Token>,
    ) -> Result<Progress, StageError> {
        self.begin(hub, want, token).await?;
        self.end(&Errand::model(want, token.is_some())).await
    }

    /// Waits for the end.
    pub(crate) async fn end(&self, errand: &Errand) -> Result<Progress, StageError> {
        self.until(errand, |_| false).await
    }

    /// Waits until it is as far as that, or at its end.
    pub(crate) async fn until(
        &self,
        errand: &Errand,
        far: fn(&Progress) -> bool,
    ) -> Result<Progress, StageError> {
        let begin = Instant::now();
        loop {
            let progress = self.stage.progress(errand, Duration::from_secs(0)).await?;
            match progress.state {
                State::Failed(error) => return Err(error),
                State::Done => return Ok(progress),
                _ if far(&progress) => return Ok(progress),
                _ => assert!(begin.elapsed() < PATIENCE, "{progress:?}"),
            }
        }
    }

    /// Every file below the host's directory in which `word` stands.
    pub(crate) fn files_with(&self, word: &str) -> Vec<PathBuf> {
        let found = Command::new("grep").args(["-rlF", "--", word]).arg(self.root.path()).output().unwrap();
        String::from_utf8_lossy(&found.stdout).lines().map(PathBuf::from).collect()
    }
}

pub(crate) fn want(name: &str) -> Want {
    Want { name: name.parse().unwrap(), revision: Want::MAIN.to_owned() }
}

/// A model in a cache as huggingface_hub lays it out: files with their contents, one revision, of which all is there.
pub(crate) fn lay_out(hub: &Path, model: &str, commit: &str, reference: &str, files: &[(&str, &str)]) {
    let dir = hub.join(model);
    for (path, content) in files {
        let blob =
            format!("{:x}", content.len() + 0xb10b_0000) + &content.chars().take(2).collect::<String>();
        let link = dir.join("snapshots").join(commit).join(path);
        fs::create_dir_all(dir.join("blobs")).unwrap();
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::write(dir.join("blobs").join(&blob), content).unwrap();
        let up = "../".repeat(path.split('/').count() + 1);
        symlink(format!("{up}blobs/{blob}"), link).unwrap();
    }
    for dir in ["refs", ".towline"] {
        fs::create_dir_all(hub.join(model).join(dir)).unwrap();
    }
    fs::write(dir.join(".towline").join(commit), "").unwrap();
    fs::write(dir.join("refs").join(reference), commit).unwrap();
}
