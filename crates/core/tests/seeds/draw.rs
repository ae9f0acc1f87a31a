//! Draws a story from its seed: the same one for ever, whatever becomes of any library.

use std::time::Duration;

use towline_core::job::{ExitStatus, JobEnd, Outcome};
use towline_core::lifecycle::EndStatus;
use towline_core::testing::{Behaviour, Call, Mishap};

use super::step::{Blow, Fault, N, Step, Verb, Who};

/// How many services a story has.
pub(crate) const SERVICES: N = 3;

/// The story of that seed.
pub(crate) fn story(seed: u64) -> Vec<Step> {
    let mut teller = Teller { dice: Dice(seed), broken: Vec::new(), steps: Vec::new() };
    teller.set_the_scene();
    for _ in 0..teller.dice.between(8, 28) {
        teller.go_on();
    }
    teller.steps
}

/// SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `least` to `most`.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll() % (most - least + 1)
    }

    fn secs(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.between(least, most))
    }

    /// Whether something happens that does so that many times in a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    fn one_of<T: Clone>(&mut self, those: &[T]) -> T {
        those[(self.roll() % those.len() as u64) as usize].clone()
    }

    fn service(&mut self) -> N {
        (self.roll() % u64::from(SERVICES)) as N + 1
    }

    /// A time to pass: mostly seconds, sometimes minutes, rarely longer than anything takes.
    fn a_while(&mut self) -> Duration {
        match self.between(0, 19) {
            0..=7 => self.secs(1, 5),
            8..=13 => self.secs(5, 70),
            14..=17 => self.secs(60, 400),
            18 => self.secs(400, 4000),
            _ => self.secs(86_400, 200_000),
        }
    }
}

struct Teller {
    dice: Dice,
    broken: Vec<Fault>,
    steps: Vec<Step>,
}

impl Teller {
    fn tell(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// What kind of cluster and machine this is, and a first service.
    fn set_the_scene(&mut self) {
        if self.dice.chance(50) {
            self.tell(Step::Break(Fault::SubmissionsForgotten));
        }
        if self.dice.chance(25) {
            self.tell(Step::Break(Fault::NoAccounting));
        }
        if self.dice.chance(40) {
            let keeps = self.dice.one_of(&[2, 10, 60]);
            self.tell(Step::KeepEndedJobsFor(Duration::from_secs(keeps)));
        }
        if self.dice.chance(70) {
            self.change_behaviour();
        }
        let start = self.start();
        self.tell(Step::Begin(Who::A, start));
        self.carry_out(Who::A);
    }

    fn go_on(&mut self) {
        match self.dice.between(0, 99) {
            0..=37 => self.act(),
            38..=57 => {
                let pass = Step::Pass(self.dice.a_while());
                self.tell(pass);
            }
            58..=64 => self.break_something(),
            65..=72 => self.mend_something(),
            73..=86 => self.strike(),
            87..=89 => self.turn_the_clock(),
            90..=92 => self.change_behaviour(),
            93..=95 => {
                let who = self.who();
                let call =
                    self.dice.one_of(&[Call::Survey, Call::Ping, Call::Open, Call::Submit, Call::Cancel]);
                let takes = self.dice.secs(0, 40);
                self.tell(Step::Takes(who, call, takes));
            }
            96 => {
                self.tell(Step::DropTunnels);
                if self.dice.chance(50) {
                    let n = self.dice.service();
                    self.tell(Step::Blow(Blow::LocalPortTaken, n));
                }
            }
            97 => self.tell(Step::StrangersJob),
            _ => self.tell(Step::RecycleIds),
        }
    }

    fn who(&mut self) -> Who {
        self.dice.one_of(&[Who::A, Who::B])
    }

    /// One process does something, or goes on with it.
    fn act(&mut self) {
        let who = self.who();
        if self.dice.chance(25) {
            let call = self.dice.one_of(&[
                Call::Submit,
                Call::Survey,
                Call::Cancel,
                Call::Open,
                Call::Close,
                Call::Ping,
                Call::Insert,
                Call::Save,
                Call::Save,
                Call::List,
            ]);
            let mishap = self.mishap(call);
            for _ in 0..if self.dice.chance(5) { 20 } else { 1 } {
                self.tell(Step::Befall(who, call, mishap));
            }
        }
        let verb = self.verb();
        self.tell(Step::Begin(who, verb));
        self.carry_out(who);
    }

    fn mishap(&mut self, call: Call) -> Mishap {
        match self.dice.between(0, 3) {
            0 => Mishap::LostBefore,
            1 | 2 => Mishap::LostAfter,
            _ if call == Call::Save => Mishap::Overtaken,
            _ => Mishap::Late(self.dice.secs(1, 150)),
        }
    }

    /// Mostly to the end; or part of the way, and then perhaps not any further.
    fn carry_out(&mut self, who: Who) {
        let (steps, choice) = (self.dice.between(1, 24) as u16, self.dice.between(0, 2) as u8);
        match self.dice.between(0, 9) {
            0..=5 => self.tell(Step::Finish(who)),
            6 | 7 => self.tell(Step::Go(who, steps, choice)),
            _ => {
                self.tell(Step::Go(who, steps, choice));
                self.tell(Step::Kill(who));
            }
        }
    }

    fn start(&mut self) -> Verb {
        let grace = self.dice.one_of(&[20, 60, 600]);
        Verb::Start { n: self.dice.service(), grace: Duration::from_secs(grace), waits: self.dice.chance(30) }
    }

    fn verb(&mut self) -> Verb {
        let n = self.dice.service();
        match self.dice.between(0, 24) {
            0..=5 => self.start(),
            6..=8 => Verb::Refresh(n),
            9..=15 => Verb::RefreshAll,
            16..=18 => {
                let delay = if self.dice.chance(60) { Duration::ZERO } else { self.dice.secs(1, 300) };
                let status = self.dice.one_of(&[EndStatus::Stopped, EndStatus::Timeout, EndStatus::Failed]);
                Verb::Stop { n, delay, status }
            }
            19 => Verb::GetJob(n),
            20 => Verb::OpenTunnel(n),
            21 => Verb::CloseTunnel(n),
            _ => Verb::Wait(n),
        }
    }

    fn break_something(&mut self) {
        let n = self.dice.service();
        let lag = self.dice.secs(5, 600);
        let fault = self.dice.one_of(&[
            Fault::NetworkDown,
            Fault::NetworkDown,
            Fault::NetworkSilent,
            Fault::TunnelsStuck,
            Fault::NodesCutOff,
            Fault::SchedulerDown,
            Fault::SchedulerDown,
            Fault::SubmissionsCutOff,
            Fault::JobsUnlisted,
            Fault::QueueEmpty,
            Fault::Garbled,
            Fault::OddRow(n),
            Fault::AccountingLate(lag),
            Fault::AccountingDown,
        ]);
        self.broken.push(fault);
        self.tell(Step::Break(fault));
        // What lies is found out soon; nobody could tell a lie that lasts from the truth.
        if matches!(fault, Fault::JobsUnlisted | Fault::QueueEmpty) {
            self.act();
            let lasts = self.dice.secs(1, 100);
            self.tell(Step::Pass(lasts));
            self.act();
            self.tell(Step::Mend(fault));
        }
    }

    fn mend_something(&mut self) {
        if let Some(fault) = self.broken.pop() {
            self.tell(Step::Mend(fault));
        }
    }

    fn strike(&mut self) {
        let blow = self.dice.one_of(&[
            Blow::CancelByHand,
            Blow::Requeue,
            Blow::Requeue,
            Blow::Suspend,
            Blow::Resume,
            Blow::NodeFails,
            Blow::Hush,
            Blow::Unhush,
            Blow::PortTaken,
            Blow::LocalPortTaken,
        ]);
        let n = self.dice.service();
        self.tell(Step::Blow(blow, n));
    }

    fn turn_the_clock(&mut self) {
        let step = match self.dice.between(0, 2) {
            0 => Step::ClockForwards(self.dice.secs(86_400, 400_000)),
            1 => Step::ClockForwards(self.dice.secs(1, 4_000)),
            _ => Step::ClockBack(self.dice.secs(1, 590)),
        };
        self.tell(step);
    }

    fn change_behaviour(&mut self) {
        let behaviour = Step::Behave(Box::new(self.behaviour()));
        self.tell(behaviour);
    }

    fn behaviour(&mut self) -> Behaviour {
        let dice = &mut self.dice;
        let nothing = Duration::ZERO;
        let ends = [
            (Outcome::Completed, 0, None),
            (Outcome::Failed, 3, None),
            (Outcome::OutOfMemory, 0, Some(9)),
            (Outcome::Preempted, 0, None),
        ];
        let (outcome, code, signal) = dice.one_of(&ends);
        let exit = Some(ExitStatus { code, signal });
        Behaviour {
            listed_after: if dice.chance(20) { dice.secs(1, 45) } else { nothing },
            queued_for: if dice.chance(70) { dice.secs(0, 20) } else { dice.secs(20, 2_000) },
            configures_for: if dice.chance(20) { dice.secs(1, 60) } else { nothing },
            listens_after: if dice.chance(80) { Some(dice.secs(0, 90)) } else { None },
            runs_for: if dice.chance(30) { Some(dice.secs(0, 900)) } else { None },
            end: JobEnd { outcome, exit, reason: None },
            time_limit: if dice.chance(30) { Some(dice.secs(30, 2_000)) } else { None },
            leaves_for: if dice.chance(40) { dice.secs(1, 90) } else { nothing },
            requeues: dice.chance(50),
            refused: dice.chance(4).then(|| "Invalid partition name specified".to_owned()),
        }
    }
}
