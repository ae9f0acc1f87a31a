//! Other programs in the place of Slurm's commands, for one lab alone.

use super::cluster::{Guard, Host, on};
use super::lab::Lab;

const ALICE: Host = on("login").as_("alice");

impl Lab {
    /// One in whose logins a directory of its own is the `PATH`, up to what comes `after` it.
    pub(crate) fn with_path(guard: Guard, after: &str) -> Self {
        let lab = Self::bare(guard);
        let mark = lab.path_mark();
        // sshd accepts LC_*, so that only this lab's logins are concerned.
        let set = format!("Host login\n    SetEnv LC_LAB={mark}\n");
        let config = lab.write_ssh_config(|text| text.replace("Host login\n", &set));
        let text = r#"mkdir -p "$1/bin"
            flock . sed -i "1i [ \"\$LC_LAB\" != $2 ] || PATH=\$HOME/$1/bin$3 # $2" .bashrc"#;
        ALICE.run(&["bash", "-c", text, "path", &lab.remote_name(), &mark, after]).ok();
        lab.add_profile(&config, &[]);
        lab
    }

    /// Puts a shell script into that directory.
    pub(crate) fn put_on_path(&self, name: &str, text: &str) {
        let put = r#"cat >"$1.new" && chmod +x "$1.new" && mv "$1.new" "$1""#;
        let file = format!("{}/bin/{name}", self.remote_name());
        ALICE.run_with(&["bash", "-c", put, "put", &file], format!("#!/bin/sh\n{text}\n").as_bytes()).ok();
    }

    /// Takes it away.
    pub(crate) fn take_off_path(&self, name: &str) {
        ALICE.run(&["rm", &format!("{}/bin/{name}", self.remote_name())]).ok();
    }

    /// What the lines of this lab in alice's start-up file end with.
    pub(crate) fn path_mark(&self) -> String {
        self.remote_name().replace(['.', '-'], "_")
    }
}
