//! The product that is walked over: the row of the service, two processes and the world.

use std::time::Duration;

use towline_core::job::{JobReport, Sight, Sighting};
use towline_core::lifecycle::{Fact, Job, Life, Phase};
use towline_core::time::Timestamp;

use crate::ages::{MOMENT, NOW, STEP, age, ago, grow_older, moments, move_shared, settle, shared};
use crate::errand::{News, Stage, Told};
use crate::kept::Kept;
use crate::promises::Wrong;
use crate::turn::Turn;
use crate::world::{World, place_of};

/// Processes that act on the same service.
pub(crate) const PROCESSES: usize = 2;

/// All that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The service's life as the ledger has it. Its generation is in the processes: they know whether it has changed
    /// since they read it.
    pub(crate) row: Kept<Life>,
    pub(crate) processes: [Option<Kept<Turn>>; PROCESSES],
    pub(crate) world: World,
    /// How many rare things may still happen.
    pub(crate) left: u8,
    /// The promise that was broken on the way here.
    pub(crate) wrong: Option<Wrong>,
}

impl State {
    /// Puts `turn` in place of that process, after it has acted; `wrote` tells that it has written `row`.
    pub(crate) fn replace(&mut self, process: usize, mut turn: Option<Turn>, row: Kept<Life>, wrote: bool) {
        let begins = turn.as_mut().filter(|turn| turn.begins_a_round());
        let begins = begins.map(|turn| turn.began = Some(NOW)).is_some();
        self.processes[process] = turn.map(Kept::new);
        if wrote {
            let before = std::mem::replace(&mut self.row, row);
            let others = self.processes.iter_mut().enumerate().filter(|(index, _)| *index != process);
            for other in others.filter_map(|(_, other)| other.as_mut()).filter(|other| other.read.is_none()) {
                other.change(|other| other.read = Some(before.clone()));
            }
        }
        if begins {
            self.tick();
            let turn = self.processes[process].as_mut();
            turn.into_iter().for_each(|turn| turn.change(|turn| turn.began = Some(NOW)));
        }
    }

    /// A name for a submission that is about to be announced: nobody uses it.
    pub(crate) fn free_name(&self) -> Timestamp {
        let known = self.lives().filter_map(|life| stamp(life));
        let taken: Vec<Timestamp> = known.chain(self.turns().filter_map(|turn| turn.sent_at)).collect();
        (0..).map(submission).find(|name| !taken.contains(name)).unwrap_or(NOW)
    }

    fn turns(&self) -> impl Iterator<Item = &Kept<Turn>> {
        self.processes.iter().flatten()
    }

    fn lives(&self) -> impl Iterator<Item = &Kept<Life>> {
        self.turns().flat_map(|turn| [Some(&turn.life), turn.read.as_ref()]).flatten().chain([&self.row])
    }

    /// Lets a step pass.
    pub(crate) fn pass(&mut self) {
        self.world.grow_older();
        self.each_time(grow_older, |at, _| at.minus(STEP));
        self.processes.iter_mut().flatten().for_each(|turn| turn.change(|turn| turn.steps += 1));
    }

    /// Lets a moment pass, so that what is learnt next is learnt later than what is known.
    pub(crate) fn tick(&mut self) {
        let earlier = |at: Timestamp, ordered: bool| if ordered { at.minus(MOMENT) } else { at };
        self.each_time(|life| move_shared(life, true, &earlier), earlier);
    }

    fn each_time(&mut self, of_life: impl Fn(&mut Life), of_turn: impl Fn(Timestamp, bool) -> Timestamp) {
        let older = |life: &mut Kept<Life>| life.change(&of_life);
        older(&mut self.row);
        for turn in self.processes.iter_mut().flatten() {
            turn.change(|turn| {
                turn.lives().for_each(older);
                turn.move_own_times(&of_turn, false);
            });
        }
    }

    /// Brings the state into its canonical form (see [`crate::ages`]), lives included if they may have changed.
    pub(crate) fn settle(&mut self, lives_have_changed: bool) {
        let late = self.turns().next().is_some();
        let settled = |life: &mut Kept<Life>| {
            let mut copy = Life::clone(life);
            settle(&mut copy, late);
            if copy != **life {
                *life = Kept::new(copy);
            }
        };
        if lives_have_changed {
            settled(&mut self.row);
            for turn in self.processes.iter_mut().flatten() {
                turn.change(|turn| turn.lives().for_each(settled));
            }
        }
        self.name_submissions();
        self.forget_suspensions();
        if self.lives().all(|life| run_before(life).is_none_or(|before| before.is_zero())) {
            self.close_gaps(late);
        }
    }

    /// How long a run had run until it was suspended is no matter once everybody counts from there.
    fn forget_suspensions(&mut self) {
        let counts_from = |life: &Life| {
            let run = life.phase.job()?.run.as_ref()?;
            Some((run.mark, run.before))
        };
        let Some((mark, before)) = self.lives().find_map(|life| counts_from(life)) else { return };
        let agrees = |life: &Kept<Life>| {
            matches!(life.phase, Phase::Ended(_)) || counts_from(life) == Some((mark, before))
        };
        if before.is_zero() || !self.lives().all(agrees) {
            return;
        }
        let forget = |life: &mut Kept<Life>| {
            life.change(|life| {
                if let Phase::Live { job: Job { run: Some(run), .. }, .. } = &mut life.phase {
                    run.before = Duration::ZERO;
                }
            });
        };
        forget(&mut self.row);
        for turn in self.processes.iter_mut().flatten() {
            turn.change(|turn| {
                turn.lives().for_each(forget);
                turn.facts().for_each(|fact| shorten(fact, mark, before));
            });
        }
        let steps = before.as_secs() / STEP.as_secs();
        for (index, job) in self.world.jobs.iter_mut().enumerate() {
            if let Some(job) = job.as_mut().filter(|job| Some(place_of(index, job.run) as u64) == mark) {
                job.ran = job.ran.saturating_sub(steps as u8);
            }
        }
    }

    /// Names submissions in the order in which they are met. One that no life knows any more has no name.
    fn name_submissions(&mut self) {
        let mut known: Vec<Timestamp> = Vec::new();
        for stamp in self.lives().filter_map(|life| stamp(life)) {
            if !known.contains(&stamp) {
                known.push(stamp);
            }
        }
        let name = |stamp: Timestamp| known.iter().position(|known| *known == stamp).map(submission);
        let named = |life: &mut Kept<Life>| {
            if let Phase::Sending { since } = life.phase
                && name(since) != Some(since)
            {
                let since = name(since).unwrap_or(since);
                life.change(|life| life.phase = Phase::Sending { since });
            }
        };
        named(&mut self.row);
        for turn in self.processes.iter_mut().flatten() {
            let sent_at = turn.sent_at.and_then(name);
            if turn.sent_at != sent_at || !known.is_empty() {
                turn.change(|turn| {
                    turn.lives().for_each(named);
                    turn.sent_at = sent_at;
                });
            }
        }
    }

    /// Leaves one step at most between each two of the times that are compared with one another; two while an answer
    /// is under way that tells how long a job has run: it grows no older until it is folded. Within a step only the
    /// order is left.
    fn close_gaps(&mut self, late: bool) {
        let mut times = Times::default();
        self.lives().for_each(|life| shared(life, late, &mut |at, ordered| times.note(at, ordered)));
        self.turns().for_each(|turn| turn.own_times(&mut |at, ordered| times.note(at, ordered)));
        self.world.jobs().for_each(|(_, job)| times.note(ago(u64::from(job.ran)), false));
        times.widest = if self.turns().any(|turn| turn.is_told_a_length()) { 2 } else { 1 };
        if times.are_close() {
            return;
        }
        let closer = |at: Timestamp, ordered: bool| times.closer(at, ordered);
        let close = |life: &mut Kept<Life>| life.change(|life| move_shared(life, late, &closer));
        close(&mut self.row);
        for turn in self.processes.iter_mut().flatten() {
            turn.change(|turn| {
                turn.lives().for_each(close);
                turn.move_own_times(&closer, true);
            });
        }
        for job in self.world.jobs.iter_mut().flatten() {
            job.ran = age(times.closer(ago(u64::from(job.ran)), false)) as u8;
        }
    }
}

/// The name of a submission: when it was announced, which is compared with nothing but that of another one.
fn submission(number: usize) -> Timestamp {
    NOW.plus(MOMENT * (number as u32 + 1))
}

fn run_before(life: &Life) -> Option<Duration> {
    life.phase.job().and_then(|job| Some(job.run.as_ref()?.before))
}

/// Takes what was before off the length of that run which is told.
fn shorten(fact: &mut Fact, mark: Option<u64>, before: Duration) {
    if let Fact::Job(Sighting { sight: Sight::Seen(report), .. }) = fact
        && let (true, Some(length)) = (report.run == mark, &mut report.running_for)
    {
        *length = length.saturating_sub(before);
    }
}

fn stamp(life: &Life) -> Option<Timestamp> {
    match life.phase {
        Phase::Sending { since } => Some(since),
        _ => None,
    }
}

/// Times that are compared with one another, as bits: the steps in which they are, and their moments in each.
struct Times {
    steps: u32,
    moments: [u32; 32],
    /// The widest gap that is left between two.
    widest: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self { steps: 1, moments: [0; 32], widest: 1 }
    }
}

impl Times {
    fn place(at: Timestamp) -> (usize, u32) {
        (age(at).min(31) as usize, moments(at).min(31) as u32)
    }

    fn note(&mut self, at: Timestamp, ordered: bool) {
        let (step, moment) = Self::place(at);
        self.steps |= 1 << step;
        if ordered {
            self.moments[step] |= 1 << moment;
        }
    }

    /// Whether nothing is to be moved.
    fn are_close(&self) -> bool {
        let in_order = |bits: &u32| (*bits + 1).is_power_of_two();
        (self.steps + 1).is_power_of_two() && self.moments.iter().all(in_order)
    }

    fn closer(&self, at: Timestamp, ordered: bool) -> Timestamp {
        let (step, moment) = Self::place(at);
        let (mut closed, mut before) = (0, 0);
        for other in (1..=step).filter(|other| self.steps & (1 << other) != 0) {
            closed += (other - before).min(self.widest as usize);
            before = other;
        }
        let later = self.moments[step] & ((1 << moment) - 1);
        ago(closed as u64).minus(MOMENT * if ordered { later.count_ones() } else { 0 })
    }
}

impl Turn {
    /// The lives that it holds.
    fn lives(&mut self) -> impl Iterator<Item = &mut Kept<Life>> {
        [Some(&mut self.life), self.read.as_mut()].into_iter().flatten()
    }

    /// The facts that it holds.
    fn facts(&mut self) -> impl Iterator<Item = &mut Fact> {
        let replies = match &mut self.stage {
            Stage::Act { replies, .. } => replies.as_mut_slice(),
            Stage::Announce | Stage::Save(_) => &mut [],
        };
        let news = self.news.iter_mut().filter_map(|told| match &mut told.news {
            News::Fact(fact) => Some(fact),
            News::Request(_) => None,
        });
        news.chain(replies.iter_mut().map(|reply| &mut reply.fact))
    }

    fn replies(&self) -> impl Iterator<Item = &Fact> {
        let replies = match &self.stage {
            Stage::Act { replies, .. } => replies.as_slice(),
            Stage::Announce | Stage::Save(_) => &[],
        };
        replies.iter().map(|reply| &reply.fact)
    }

    /// Whether it has an answer that tells how long a job has run.
    fn is_told_a_length(&self) -> bool {
        self.replies().any(|fact| length(fact).is_some())
    }

    /// Shows the times that it holds outside of lives: when its news were learnt, and what the scheduler told of its
    /// own clock and of the beginning of a run.
    fn own_times(&self, visit: &mut impl FnMut(Timestamp, bool)) {
        let learnt = self.news.iter().filter_map(|told| match &told.news {
            News::Fact(fact) => Some((fact, told.at)),
            News::Request(_) => None,
        });
        for (fact, at) in learnt.chain(self.replies().map(|fact| (fact, NOW))) {
            if let Fact::Job(sighting) = fact {
                sighting.at.into_iter().for_each(|at| visit(at, true));
            }
            length(fact).into_iter().for_each(|length| visit(ago(age(at)).minus(length), false));
        }
        self.news
            .iter()
            .flat_map(|told| [told.asked, told.at])
            .chain(self.began)
            .for_each(|at| visit(at, true));
    }

    /// Moves them. A length that was told is the time as long before it was learnt, if `lengths` are to be moved too:
    /// they do not grow as time passes, and tell how long a job had run when the answer is folded.
    fn move_own_times(&mut self, to: &impl Fn(Timestamp, bool) -> Timestamp, lengths: bool) {
        let move_fact = |fact: &mut Fact, at: Timestamp| {
            if let Fact::Job(sighting) = fact {
                sighting.at = sighting.at.map(|at| to(at, true));
                if let (true, Sight::Seen(JobReport { running_for: Some(length), .. })) =
                    (lengths, &mut sighting.sight)
                {
                    *length = to(at, false).since(to(ago(age(at)).minus(*length), false));
                }
            }
        };
        self.began = self.began.map(|at| to(at, true));
        for Told { news, asked, at } in &mut self.news {
            if let News::Fact(fact) = news {
                move_fact(fact, *at);
            }
            (*asked, *at) = (to(*asked, true), to(*at, true));
        }
        if let Stage::Act { replies, .. } = &mut self.stage {
            replies.iter_mut().for_each(|reply| move_fact(&mut reply.fact, NOW));
        }
    }
}

fn length(fact: &Fact) -> Option<Duration> {
    match fact {
        Fact::Job(Sighting { sight: Sight::Seen(report), .. }) => report.running_for,
        _ => None,
    }
}
