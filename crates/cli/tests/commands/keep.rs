//! The keeper on this machine: whom it heeds, and what it tells of services that others end.

use std::fs::File;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, eventually};

/// A command that runs in the background, and whose words lie in a file.
struct Background<'a> {
    world: &'a World,
    child: Child,
}

impl<'a> Background<'a> {
    /// Starts `program` with the words by which `towline` is called.
    fn start(world: &'a World, program: &[&str], words: &[&str]) -> Self {
        let towline = world.command(words);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(towline.get_program()).args(words).env_clear();
        command.envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = File::create(world.path("said")).unwrap();
        command.stdin(std::process::Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        Self { world, child: command.spawn().unwrap() }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.world.path("said")).unwrap()
    }

    #[track_caller]
    fn until_said(&self, words: &str) {
        eventually(words, || self.said().contains(words).then_some(()));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and gives the exit code.
    #[track_caller]
    fn finish(&mut self) -> Option<i32> {
        eventually("the end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_keeper_that_was_started_by_nohup_outlives_its_terminal() {
    let world = World::new();
    let mut keeper = Background::start(&world, &["nohup"], &["keep"]);
    keeper.until_said("no services run; waiting for some");
    keeper.signal(Signal::HUP);
    let url = world.serve("web");
    keeper.until_said(&format!("web: HEALTHY: the server answers, {url}"));
    keeper.signal(Signal::TERM);
    assert_eq!(keeper.finish(), Some(0), "{}", keeper.said());
    assert!(keeper.said().ends_with("towline: told to leave; the tunnel stays open\n"), "{}", keeper.said());
}

/// A shell without job control has what it puts in the background ignore Ctrl-C, which is meant for what is in front.
#[test]
fn a_run_in_the_background_of_a_script_does_not_hear_ctrl_c() {
    let world = World::new();
    let shell = ["sh", "-c", "trap '' INT; exec \"$0\" \"$@\""];
    let mut run = Background::start(&world, &shell, &["run", "--name", "web", "--", "sleep", "600"]);
    run.until_said("STARTING");
    run.signal(Signal::INT);
    world.run(&["stop", "web"]).exits(0);
    assert_eq!(run.finish(), Some(8), "{}", run.said());
    assert!(run.said().contains("service web ended as STOPPED"), "{}", run.said());
}

#[test]
fn a_service_that_was_removed_before_its_end_was_seen_is_told_of() {
    let world = World::new();
    world.serve("web");
    let mut keeper = Background::start(&world, &["env"], &["keep", "web"]);
    keeper.until_said("web: HEALTHY");
    keeper.signal(Signal::STOP);
    world.run(&["stop", "web"]).exits(0);
    world.run(&["rm", "web"]).exits(0);
    keeper.signal(Signal::CONT);
    assert_eq!(keeper.finish(), Some(0), "{}", keeper.said());
    let said = keeper.said();
    let last: Vec<&str> = said.lines().rev().take(2).collect();
    assert!(last[0].ends_with("towline: all services that were named have ended"), "{said}");
    let removed = "web: ended and removed from the ledger since it was seen HEALTHY";
    assert!(last[1].ends_with(removed), "{said}");
}
