//! Looks that wait for one another.

use std::fs::{File, OpenOptions};

use crate::world::{World, eventually};

#[test]
fn a_look_that_has_to_wait_says_so() {
    let world = World::new();
    world.serve("web");
    let lock = world.path(".local/share/towline/towline.db.look-local_all.lock");
    let held = OpenOptions::new().append(true).create(true).open(lock).unwrap();
    held.lock().unwrap();
    // What was learnt less than two seconds ago is not asked for again; from then on its age is shown.
    let is_stale = || world.run(&["ls", "--no-refresh"]).exits(0).stdout.contains("last known").then_some(());
    eventually("knowledge that is stale", is_stale);
    let said = world.path("said");
    let mut ls = world.command(&["ls"]).stderr(File::create(&said).unwrap()).spawn().unwrap();
    let word = "waiting for another towline that looks at profile local\n";
    eventually("a word", || (std::fs::read_to_string(&said).unwrap() == word).then_some(()));
    assert!(ls.try_wait().unwrap().is_none(), "it waits");
    drop(held);
    assert!(ls.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&said).unwrap(), word, "it says so once");
}
