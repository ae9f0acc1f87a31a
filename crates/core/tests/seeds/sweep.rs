//! A process that is killed, or overtaken, at every single step of a verb: the same rules.

use std::time::Duration;

use towline_core::lifecycle::EndStatus;
use towline_core::testing::{Behaviour, Call, Mishap};

use super::report::play_all;
use super::stage::Stage;
use super::step::{Blow, Fault, N, Step, Verb, Who};

/// How a verb that is about to be killed came to be begun.
struct Scene {
    name: &'static str,
    before: Vec<Step>,
    verb: Verb,
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn start(n: N, waits: bool) -> Verb {
    Verb::Start { n, grace: secs(60), waits }
}

const fn stop(n: N, delay: u64) -> Verb {
    Verb::Stop { n, delay: secs(delay), status: EndStatus::Failed }
}

/// A verb from its beginning to its end.
fn whole(verb: Verb) -> [Step; 2] {
    [Step::Begin(Who::A, verb), Step::Finish(Who::A)]
}

fn behave(behaviour: Behaviour) -> Step {
    Step::Behave(Box::new(behaviour))
}

fn never_listening() -> Step {
    behave(Behaviour { listens_after: None, ..Behaviour::default() })
}

fn healthy(n: N) -> Vec<Step> {
    whole(start(n, true)).into()
}

fn scene(name: &'static str, before: impl IntoIterator<Item = Step>, verb: Verb) -> Scene {
    // A cluster that keeps nothing of submissions does not forgive one too many.
    let forgetful = [Step::Break(Fault::SubmissionsForgotten)];
    Scene { name, before: forgetful.into_iter().chain(before).collect(), verb }
}

fn scenes() -> Vec<Scene> {
    let refused = Behaviour { refused: Some("no such partition".into()), ..Behaviour::default() };
    let failing = Behaviour { runs_for: Some(secs(30)), leaves_for: secs(20), ..Behaviour::default() };
    let queued = Behaviour { queued_for: secs(3_600), ..Behaviour::default() };
    let silent = whole(start(1, false));
    let many = [
        healthy(1),
        vec![behave(failing)],
        healthy(2),
        vec![behave(queued)],
        whole(start(3, false)).into(),
        vec![Step::Pass(secs(61))],
    ];
    vec![
        scene("a start", [], start(1, true)),
        scene("a start whose answer is lost", lost(Mishap::LostAfter), start(1, true)),
        scene("a start that arrives late", lost(Mishap::Late(secs(10))), start(1, true)),
        scene("a start that is refused", [behave(refused)], start(1, false)),
        scene("a start without a network", [Step::Break(Fault::NetworkDown)], start(1, false)),
        scene("a stop", healthy(1), stop(1, 0)),
        scene("a delayed stop", healthy(1), stop(1, 30)),
        scene("a stop in the queue", whole(start(1, false)), stop(1, 0)),
        scene("a refresh of many", many.concat(), Verb::RefreshAll),
        scene("a refresh after a requeue", after(healthy(1), Blow::Requeue, 5), Verb::RefreshAll),
        scene("a refresh after a node failure", after(healthy(1), Blow::NodeFails, 40), Verb::RefreshAll),
        scene("a refresh after a cancel", after(healthy(1), Blow::CancelByHand, 5), Verb::RefreshAll),
        scene(
            "a refresh that opens",
            [silent.to_vec(), vec![Step::Pass(secs(9))]].concat(),
            Verb::Refresh(1),
        ),
        scene(
            "a refresh that ends the grace",
            [vec![never_listening()], silent.to_vec(), vec![Step::Pass(secs(90))]].concat(),
            Verb::RefreshAll,
        ),
        scene("a look", healthy(1), Verb::GetJob(1)),
        scene("a closing", healthy(1), Verb::CloseTunnel(1)),
        scene("an opening", [healthy(1), whole(Verb::CloseTunnel(1)).into()].concat(), Verb::OpenTunnel(1)),
    ]
}

fn lost(mishap: Mishap) -> [Step; 1] {
    [Step::Befall(Who::A, Call::Submit, mishap)]
}

fn after(before: Vec<Step>, blow: Blow, pause: u64) -> Vec<Step> {
    [before, vec![Step::Blow(blow, 1), Step::Pass(secs(pause))]].concat()
}

/// How many steps the verb of a scene has, each of the waiting call of that number.
fn length(scene: &Scene, choice: u8) -> u16 {
    let mut stage = Stage::new();
    let begin = Step::Begin(Who::A, scene.verb.clone());
    let mut played = stage.play(&scene.before).and_then(|()| stage.play(&[begin]));
    let mut steps = 0;
    while stage.is_busy(Who::A) && played.is_ok() {
        played = stage.play(&[Step::Go(Who::A, 1, choice)]);
        steps += 1;
    }
    played.unwrap_or_else(|broken| panic!("{}: {}", scene.name, broken.rule));
    steps
}

/// The scene up to each step of its verb, followed by each of `ends`.
fn stories(scene: &Scene, choice: u8, ends: &[(&str, Vec<Step>)]) -> Vec<(String, Vec<Step>)> {
    let mut stories = Vec::new();
    for step in 0..=length(scene, choice) {
        for (name, end) in ends {
            let mut steps = scene.before.clone();
            steps.push(Step::Begin(Who::A, scene.verb.clone()));
            steps.extend((step > 0).then_some(Step::Go(Who::A, step, choice)));
            steps.extend(end.iter().cloned());
            stories.push((format!("{}, after step {step} {name}", scene.name), steps));
        }
    }
    stories
}

#[test]
fn a_verb_killed_anywhere_is_settled_whatever_comes_next() {
    let kill = || vec![Step::Kill(Who::A)];
    let then = |more: Vec<Step>| [kill(), more].concat();
    let by_b = |verb: Verb| vec![Step::Begin(Who::B, verb), Step::Finish(Who::B)];
    let ends = [
        ("killed", kill()),
        ("killed, then the job is cancelled by hand", then(vec![Step::Blow(Blow::CancelByHand, 1)])),
        ("killed, then the job is requeued", then(vec![Step::Blow(Blow::Requeue, 1), Step::Pass(secs(5))])),
        ("killed, then stopped by another", then(by_b(stop(1, 0)))),
        (
            "killed, then the network fails for long",
            then(vec![
                Step::Break(Fault::NetworkDown),
                Step::Pass(secs(400)),
                Step::Begin(Who::B, Verb::RefreshAll),
                Step::Finish(Who::B),
            ]),
        ),
        ("killed, then the clock is put forwards", then(vec![Step::ClockForwards(secs(200_000))])),
        ("killed, then the clock is put back", then(vec![Step::ClockBack(secs(300))])),
    ];
    let all = scenes()
        .iter()
        .flat_map(|scene| [0, 1].map(|choice| stories(scene, choice, &ends)).concat())
        .collect();
    play_all(all);
}

#[test]
fn a_verb_overtaken_anywhere_agrees_with_the_other() {
    let by_b = |verb: Verb| vec![Step::Begin(Who::B, verb), Step::Finish(Who::B), Step::Finish(Who::A)];
    let ends = [
        ("overtaken by a refresh", by_b(Verb::RefreshAll)),
        ("overtaken by a stop", by_b(stop(1, 0))),
        ("overtaken by a closing", by_b(Verb::CloseTunnel(1))),
        ("overtaken by an opening", by_b(Verb::OpenTunnel(1))),
        ("overtaken by a look", by_b(Verb::GetJob(1))),
        ("delayed for six minutes", vec![Step::Pass(secs(360)), Step::Finish(Who::A)]),
        ("delayed and overtaken", [vec![Step::Pass(secs(100))], by_b(Verb::Wait(1))].concat()),
    ];
    let all = scenes()
        .iter()
        .flat_map(|scene| [0, 1].map(|choice| stories(scene, choice, &ends)).concat())
        .collect();
    play_all(all);
}

#[test]
fn a_verb_killed_anywhere_is_settled_by_another_that_is_killed_anywhere() {
    let mut all = Vec::new();
    for scene in scenes() {
        for (name, steps) in stories(&scene, 0, &[("killed", vec![Step::Kill(Who::A)])]) {
            let second = Scene { name: "a second process", before: steps, verb: Verb::RefreshAll };
            let killed = stories(&second, 0, &[("killed", vec![Step::Kill(Who::A)])]);
            all.extend(killed.into_iter().map(|(again, steps)| (format!("{name}; {again}"), steps)));
        }
    }
    play_all(all);
}
