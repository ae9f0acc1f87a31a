//! Who else may read and change what Towline keeps on this machine.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::machine::quoted;
use crate::config::{Config, Paths};
use crate::wiring;

/// Something of ours that other users can read or write.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: PathBuf,
    mode: u32,
    /// What it should be at most.
    wanted: u32,
    /// Whether others can write it, and so speak for this user.
    is_writable: bool,
    /// Another user whose it is.
    owner: Option<u32>,
}

/// Looks at the configuration, the ledger and the directories: nobody else should read them, and must not write them.
pub(crate) fn permissions_check(paths: &Paths, config: Option<&Config>) -> Check {
    const NAME: &str = "permissions";
    let mut all: Vec<(PathBuf, u32)> = vec![
        (paths.data_dir.clone(), 0o700),
        (paths.runtime_dir.clone(), 0o700),
        (paths.data_dir.join("local"), 0o700),
    ];
    if let Some(ledger) = config.and_then(|config| wiring::ledger_file(config, paths)) {
        let beside = |ending: &str| PathBuf::from(format!("{}{ending}", ledger.display()));
        all.extend(["", "-wal", "-shm"].map(|ending| (beside(ending), 0o600)));
    }
    // It may be read by everybody, unless there are secrets in it.
    let has_secrets = config.is_none_or(Config::has_secrets);
    all.push((paths.config_file.clone(), if has_secrets { 0o600 } else { 0o644 }));
    let found: Vec<Finding> = all.iter().filter_map(|(path, wanted)| look(path, *wanted)).collect();
    if found.is_empty() {
        return Check::ok(NAME, "what towline keeps here is yours alone");
    }
    let text = found.iter().map(Finding::tell).collect::<Vec<_>>().join("; ");
    let hint = found.iter().map(Finding::fix).collect::<Vec<_>>().join(" && ");
    let hint = format!("`{hint}`");
    match found.iter().any(|finding| finding.is_writable || finding.owner.is_some()) {
        true => Check::wrong(NAME, text, hint),
        false => Check::warning(NAME, text, hint),
    }
}

fn look(path: &Path, wanted: u32) -> Option<Finding> {
    let meta = path.metadata().ok()?;
    let me = rustix::process::geteuid();
    // Root may use what is anybody's.
    let owner = (meta.uid() != me.as_raw() && !me.is_root()).then_some(meta.uid());
    let mode = meta.mode() & 0o777;
    let is_fine = mode & 0o077 & !wanted == 0 && owner.is_none();
    (!is_fine).then(|| Finding { path: path.to_owned(), mode, wanted, is_writable: mode & 0o022 != 0, owner })
}

impl Finding {
    fn tell(&self) -> String {
        let path = self.path.display();
        match self.owner {
            Some(owner) => format!("{path} belongs to another user (uid {owner})"),
            None => {
                let what = if self.is_writable { "changed" } else { "read" };
                format!("{path} can be {what} by other users (mode {:04o})", self.mode)
            }
        }
    }

    fn fix(&self) -> String {
        let path = quoted(&self.path);
        match self.owner {
            Some(_) => format!("sudo chown -R $(id -u) {path}"),
            None => format!("chmod {:o} {path}", self.wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn what_others_can_change_is_worse_than_what_they_can_read() {
        let base = tempfile::tempdir().unwrap();
        let (data_dir, config_file) = (base.path().join("data"), base.path().join("config.toml"));
        std::fs::create_dir(&data_dir).unwrap();
        std::fs::write(&config_file, "").unwrap();
        let paths = Paths {
            config_file: config_file.clone(),
            data_dir: data_dir.clone(),
            runtime_dir: "/none".into(),
        };
        let check = |mode: u32| {
            std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(mode)).unwrap();
            std::fs::set_permissions(&config_file, PermissionsExt::from_mode(0o600)).unwrap();
            permissions_check(&paths, None)
        };
        assert_eq!(check(0o700).verdict, Verdict::Ok);
        let read = check(0o755);
        assert_eq!(read.verdict, Verdict::Warning);
        assert_eq!(read.hint.unwrap(), format!("`chmod 700 {}`", data_dir.display()));
        assert!(read.text.contains("can be read by other users (mode 0755)"), "{}", read.text);
        assert!(check(0o770).is_failed() && check(0o702).text.contains("can be changed"));
    }

    #[test]
    fn several_findings_are_one_command() {
        let finding = |path: &str, owner| Finding {
            path: path.into(),
            mode: 0o666,
            wanted: 0o600,
            is_writable: true,
            owner,
        };
        assert_eq!(finding("/a b", None).fix(), "chmod 600 '/a b'");
        assert_eq!(finding("/a", Some(7)).fix(), "sudo chown -R $(id -u) /a");
        assert_eq!(finding("/a", Some(7)).tell(), "/a belongs to another user (uid 7)");
    }
}
