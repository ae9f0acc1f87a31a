//! The unit by which systemd starts a keeper with the user's session.

use std::path::Path;

/// A word that no unit file can hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be written into a unit file")]
pub(crate) struct Unwritable(pub(crate) String);

/// A user unit that runs `program keep` with these services and these variables.
///
/// `KillMode=process`: the SSH connections, which the keeper may have started, outlive it, as they do outside of systemd.
///
/// # Errors
/// [`Unwritable`] for a path that is not UTF-8, or has a quote, a backslash or a control character in it, which systemd
/// takes in no program's path.
pub(crate) fn unit(
    program: &Path,
    services: &[String],
    variables: &[(String, String)],
) -> Result<String, Unwritable> {
    let path = program.to_str().ok_or_else(|| Unwritable(program.to_string_lossy().into_owned()))?;
    if path.contains(['"', '\'', '\\']) {
        return Err(Unwritable(path.to_owned()));
    }
    // The program's own name is not searched for variables, all other words are: systemd.service(5), "Command lines".
    let mut command = vec![quoted(path)?, "keep".to_owned()];
    for service in services {
        command.push(quoted(service)?.replace('$', "$$"));
    }
    let lines = variables
        .iter()
        .map(|(name, value)| Ok(format!("Environment={}\n", quoted(&format!("{name}={value}"))?)));
    let environment = lines.collect::<Result<String, Unwritable>>()?;
    Ok(format!(
        "# Save this as ~/.config/systemd/user/towline-keep.service, then:\n\
         #   systemctl --user daemon-reload\n\
         #   systemctl --user enable --now towline-keep.service\n\
         # An ssh-agent is found if systemd knows it: systemctl --user import-environment SSH_AUTH_SOCK\n\
         # To go on while you are not logged in: loginctl enable-linger\n\
         [Unit]\n\
         Description=Towline keeps the tunnels to its services open\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=simple\n\
         ExecStart={}\n\
         {environment}\
         Restart=on-failure\n\
         RestartSec=10\n\
         # Bad words or settings, and services that are gone or have ended, are so the next time as well.\n\
         RestartPreventExitStatus=2 3 4 5\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        command.join(" ")
    ))
}

/// A word in double quotes, as systemd.syntax(7) and systemd.unit(5), "Specifiers", have it.
fn quoted(word: &str) -> Result<String, Unwritable> {
    if word.chars().any(char::is_control) {
        return Err(Unwritable(word.to_owned()));
    }
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    Ok(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn odd_words_are_quoted() {
        let variables = [("XDG_DATA_HOME".to_owned(), "/a $b%h".to_owned())];
        let text = unit(Path::new("/opt/to w$%/towline"), &["web".to_owned()], &variables).unwrap();
        assert!(text.contains("\nExecStart=\"/opt/to w$%%/towline\" keep \"web\"\n"), "{text}");
        assert!(text.contains("\nEnvironment=\"XDG_DATA_HOME=/a $b%%h\"\n"), "{text}");
        assert!(text.contains("\nRestart=on-failure\n") && text.contains("\nWantedBy=default.target\n"));
        assert!(unit(Path::new("/opt/to\"wline"), &[], &[]).is_err());
        assert_eq!(quoted("a\nb"), Err(Unwritable("a\nb".to_owned())));
    }

    /// systemd's own reader finds the program by its odd path, and nothing to complain of.
    #[test]
    fn systemd_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("to w$i%n");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let file = dir.path().join("towline-keep.service");
        let variables = [("XDG_DATA_HOME".to_owned(), "to w$i%n\"e\\".to_owned())];
        std::fs::write(&file, unit(&program, &["web".to_owned()], &variables).unwrap()).unwrap();
        let verify = || {
            let mut command = Command::new("systemd-analyze");
            command.args(["--user", "--man=no", "verify"]).arg(&file);
            command.env("XDG_RUNTIME_DIR", dir.path()).output()
        };
        let Ok(verified) = verify() else {
            println!("skipped: systemd-analyze is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains("towline-keep"), "{said}");
        std::fs::remove_file(&program).unwrap();
        assert!(!verify().unwrap().status.success(), "it looks for the program");
    }
}
