//! A network that is gone for long: among the longest of the stories, so that it comes first.

use crate::doubt::{assert_back, assert_doubtful};
use crate::harness::{Lab, Relay};

#[test]
fn the_network_is_gone_for_long() {
    // The lab's own way to the login host is cut, which disturbs nobody else.
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    let url = lab.run_web("web", &["--nodelist", "c1"]);
    let jobs = lab.living_jobs();
    relay.cut(true);
    lab.come_what_may(|| {
        let service = assert_doubtful(&lab, "failed to reach login");
        assert_eq!(service["url"], url, "it keeps its port");
        lab.run("other", &["--", "sleep", "600"]).fails(6, &["did not answer in time", "check your network"]);
    });
    assert_eq!(lab.living_jobs(), jobs, "nothing is cancelled, and nothing was submitted");
    relay.cut(false);
    assert_back(&lab, &url);
}
