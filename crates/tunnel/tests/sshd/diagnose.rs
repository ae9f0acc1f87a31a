//! What is found out about a login: why it is refused, and what it is good for.

use std::process::Command;

use towline_tunnel::{Denial, Forwarding, SshError, SshTunnels};

use crate::harness::{Sshd, free_port};

/// Why this sshd refuses the login of the user's configuration.
async fn denial(sshd: &Sshd) -> Denial {
    let master = sshd.master();
    let error = master.session().await.expect_err("logged in");
    assert!(matches!(error, SshError::Denied { .. }), "{error}");
    let denial = master.explain_denial().await.unwrap().expect("refused again");
    println!("{denial:?}");
    denial
}

#[tokio::test]
async fn a_key_that_the_host_does_not_know_is_named() {
    let Some(sshd) = Sshd::start() else { return };
    let stranger = sshd.path("stranger").display().to_string();
    sshd.configure(&format!("  IdentityFile {stranger}\n  IdentityFile {stranger}.gone"));
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    let denial = denial(&sshd).await;
    assert_eq!(denial.offered.len(), 2, "{denial:?}");
    assert!(denial.offered[0].starts_with(&stranger), "{denial:?}");
    assert_eq!(denial.missing, [format!("{stranger}.gone")]);
    assert_eq!((denial.agent, denial.accepts.as_slice()), (None, &["publickey".to_owned()][..]));
}

#[tokio::test]
async fn a_key_whose_passphrase_is_not_known_is_locked() {
    let Some(sshd) = Sshd::start() else { return };
    let key = sshd.path("user").display().to_string();
    let changed =
        Command::new("ssh-keygen").args(["-q", "-p", "-N", "secret", "-P", "", "-f", &key]).status();
    assert!(changed.unwrap().success());
    let denial = denial(&sshd).await;
    let [locked] = denial.locked.as_slice() else { panic!("{denial:?}") };
    assert!(locked.starts_with(&key) && denial.offered.is_empty(), "{denial:?}");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(sshd) = Sshd::start() else { return };
    std::fs::set_permissions(sshd.path("user"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let denial = denial(&sshd).await;
    assert_eq!(denial.exposed, [sshd.path("user").display().to_string()]);
}

#[tokio::test]
async fn a_second_factor_is_told_and_a_master_made_by_hand_serves() {
    let settings = "AuthenticationMethods publickey,keyboard-interactive\nKbdInteractiveAuthentication yes";
    let Some(sshd) = Sshd::start_with(settings) else { return };
    let denial = denial(&sshd).await;
    assert!(denial.is_partial && denial.wants_a_person(), "{denial:?}");

    // What a person would type, at a host that takes the key alone.
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let socket = master.control_path();
    std::fs::DirBuilder::new().create(socket.parent().unwrap()).unwrap();
    let mut by_hand = Command::new("ssh");
    by_hand.arg("-M").arg("-S").arg(&socket).arg("-E").arg(socket.with_extension("log"));
    by_hand.args(["-f", "-N", "-o", "ControlPersist=no", "-F"]).arg(sshd.path("ssh_config")).arg("lab");
    assert!(by_hand.status().unwrap().success());
    assert!(master.is_up().await);
    master.session().await.unwrap().check().await.unwrap();
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_login_that_works_is_not_denied() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    assert_eq!(master.explain_denial().await.unwrap(), None);
    assert!(!master.is_up().await, "the attempt leaves no master");
    drop(master.session().await.unwrap());
    assert!(master.is_up().await && master.host_answers().await);
    let resolved = master.resolve().await.unwrap();
    assert_eq!((resolved.hostname.as_str(), resolved.port), ("127.0.0.1", sshd.port.to_string()));
    assert_eq!(resolved.by_way_of, None);
}

#[tokio::test]
async fn forwards_are_tried_out() {
    let Some(sshd) = Sshd::start() else { return };
    let tunnels = SshTunnels::new(sshd.master());
    assert_eq!(tunnels.try_out("127.0.0.1", sshd.port).await.unwrap(), Forwarding::Works);
    assert_eq!(tunnels.try_out("127.0.0.1", free_port()).await.unwrap(), Forwarding::Refused);
    let failed = tunnels.try_out("no-such-host.invalid", 22).await.unwrap();
    assert!(matches!(failed, Forwarding::Failed(_)), "{failed:?}");
}

#[tokio::test]
async fn forwards_that_are_forbidden_are_told_from_those_that_fail() {
    let Some(sshd) = Sshd::start_with("AllowTcpForwarding no") else { return };
    let tried = SshTunnels::new(sshd.master()).try_out("127.0.0.1", sshd.port).await.unwrap();
    let Forwarding::Prohibited(words) = tried else { panic!("{tried:?}") };
    assert!(words.contains("administratively prohibited"), "{words}");
}
