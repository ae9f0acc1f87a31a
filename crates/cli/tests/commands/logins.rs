//! Logging in and out where there is nobody to log in to; the real thing is told in `tests/e2e/second_factor.rs`.

use serde_json::Value;

use crate::world::World;

const NONE_NEEDED: &str = "needs no login";

#[test]
fn a_profile_without_ssh_needs_no_login() {
    let world = World::new();
    world.run(&["profile", "add", "site", "--here"]).exits(0);
    for name in ["local", "site"] {
        world.run(&["profile", "login", name]).exits(0).says(&[NONE_NEEDED]);
        world.run(&["profile", "logout", name]).exits(0).says(&[NONE_NEEDED]);
    }
    world.run(&["profile", "login", "lcoal"]).exits(4).says(&["did you mean local?"]);
    world.run(&["profile", "logout", "lcoal"]).exits(4).says(&["did you mean local?"]);
    world.run(&["profile", "login"]).exits(2);
}

#[test]
fn a_host_that_is_not_there_is_no_question() {
    let world = World::new();
    world.run(&["profile", "add", "far", "--host", "no-such-host.invalid"]).exits(0);
    let failed = world.run(&["profile", "login", "far"]).exits(6);
    failed.says(&["error: failed to log in to far", "failed to resolve no-such-host.invalid", "hint: "]);
    world.run(&["profile", "logout", "far"]).exits(0).says(&["nobody is logged in to no-such-host.invalid"]);

    let listed = world.run(&["profile", "ls", "--json"]).exits(0).json();
    let told = |name: &str, key: &str| {
        let profile = listed.as_array().unwrap().iter().find(|profile| profile["name"] == name).unwrap();
        profile.get(key).unwrap().clone()
    };
    assert_eq!((told("far", "login"), told("far", "login_needs_person")), (Value::Null, false.into()));
    assert_eq!((told("local", "login"), told("local", "login_needs_person")), (Value::Null, Value::Null));
    let table = world.run(&["profile", "ls"]).exits(0).stdout;
    assert!(table.contains("LOGGED IN") && table.contains("not needed"), "{table}");
}
