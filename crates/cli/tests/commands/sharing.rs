//! Looks that wait for one another.

use std::fs::{File, OpenOptions};
use std::time::Duration;

use crate::world::{World, eventually};

#[test]
fn a_look_that_has_to_wait_says_so() {
    let world = World::new();
    world.serve("web");
    let lock = world.path(".local/share/towline/towline.db.look-local_all.lock");
    let held = OpenOptions::new().append(true).create(true).open(lock).unwrap();
    held.lock().unwrap();
    // What was learnt so recently is not asked for again.
    std::thread::sleep(Duration::from_millis(2_100));
    let said = world.path("said");
    let mut ls = world.command(&["ls"]).stderr(File::create(&said).unwrap()).spawn().unwrap();
    let word = "waiting for another towline that looks at profile local\n";
    eventually("a word", || (std::fs::read_to_string(&said).unwrap() == word).then_some(()));
    assert!(ls.try_wait().unwrap().is_none(), "it waits");
    drop(held);
    assert!(ls.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&said).unwrap(), word, "it says so once");
}
