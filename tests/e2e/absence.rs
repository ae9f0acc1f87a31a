//! A network that is gone for long: among the longest of the stories, so that it comes first.

use std::time::{Duration, Instant};

use crate::doubt::Household;
use crate::harness::{Lab, Relay};

#[test]
fn the_network_is_gone_for_long() {
    // The lab's own way to the login host is cut, which disturbs nobody else.
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    let home = Household::settle(&lab);
    let jobs = lab.living_jobs();
    relay.cut(true);
    let began = Instant::now();
    lab.come_what_may(|| {
        let services = home.assert_doubtful("failed to reach login", &["web", "held", "mute"]);
        assert_eq!(services["web"]["url"], home.url, "it keeps its port");
        lab.run("other", &["--", "sleep", "600"]).fails(6, &["did not answer in time", "the host is down"]);
        while began.elapsed() < Duration::from_secs(90) {
            home.look();
        }
    });
    assert_eq!(lab.living_jobs(), jobs, "nothing is cancelled, and nothing was submitted");
    relay.cut(false);
    home.assert_back_alone();
}
