//! Masters for which a person has logged in, and which do not answer.

use std::fs;

use towline_core::ports::{TunnelError, Tunnels};
use towline_tunnel::{Login, Master, MasterConfig, SshError, SshTunnels};

use crate::harness::{Sshd, eventually, signal_process};
use crate::screen::Screen;
use crate::tunnels::service;
use crate::web::{Web, fetch, ok};

/// Logs in by typing, and tells the process id of the master.
async fn type_in(sshd: &Sshd) -> u32 {
    let mut screen = Screen::run(sshd, "$LOGIN");
    screen.shows("'s password: ", 1).await;
    screen.types("secret\n");
    let (code, shown) = screen.ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
    sshd.master().pid().await.unwrap().unwrap()
}

fn is_there(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn login(sshd: &Sshd) -> Option<Login> {
    sshd.master().login().await
}

#[tokio::test]
async fn a_login_that_took_a_person_is_never_ended_by_doubt() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let typed = type_in(&sshd).await;
    let web = Web::saying(ok("hello")).await;
    let config = MasterConfig { login_command: Some("app login".into()), ..sshd.config() };
    let (id, tunnels) = (service(), SshTunnels::new(sshd.master()));
    let tunnel = tunnels.open(id, &web.place(), None, None).await.unwrap();

    signal_process("-STOP", typed);
    let began = std::time::Instant::now();
    for _ in 0..3 {
        let error = Master::new(config.clone()).unwrap().session().await.expect_err("it answers");
        let SshError::NotAnswering { login, .. } = &error else { panic!("{error}") };
        assert_eq!(login.as_deref(), Some("app login"));
    }
    println!("said three times within {:.1} s", began.elapsed().as_secs_f32());
    let tunnels = SshTunnels::new(sshd.master());
    let error = tunnels.open(id, &web.place(), None, Some(&tunnel)).await.expect_err("it answers");
    assert!(matches!(error, TunnelError::Unreachable(_)), "{error}");
    assert!(is_there(typed) && sshd.master().needs_person());
    assert!(login(&sshd).await.is_some_and(|login| login.is_ours && !login.answers));

    signal_process("-CONT", typed);
    sshd.master().session().await.unwrap().check().await.unwrap();
    let same = SshTunnels::new(sshd.master()).open(id, &web.place(), None, Some(&tunnel)).await.unwrap();
    assert_eq!((&same, fetch(same.port).await.unwrap().as_str()), (&tunnel, "hello"));
    assert_eq!((sshd.master().pid().await.unwrap(), sshd.typed_logins()), (Some(typed), 1));
    assert!(login(&sshd).await.is_some_and(|login| login.answers));
}

#[tokio::test]
async fn a_person_replaces_or_ends_a_login_that_does_not_answer() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let first = type_in(&sshd).await;
    signal_process("-STOP", first);
    let second = type_in(&sshd).await;
    assert_eq!(sshd.typed_logins(), 2);
    eventually("the first one is ended", async || !is_there(first)).await;

    signal_process("-STOP", second);
    assert!(sshd.master().stop().await.unwrap());
    eventually("the second one is ended", async || !is_there(second)).await;
    assert!(!sshd.master().needs_person() && login(&sshd).await.is_none());
}
