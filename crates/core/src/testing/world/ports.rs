//! The ports of the world, whose answers come at once.

use async_trait::async_trait;

use super::cluster::{Keeps, Request};
use super::controls::{State, World};
use super::faults::{Accounting, Faults, Garbage};
use super::sight::Look;
use crate::id::{JobId, ServiceId};
use crate::job::{Place, Sight};
use crate::lifecycle::{Echo, Tunnel};
use crate::ports::{
    CancelError, Clock, Probe, Scheduler, Subject, SubmitError, Survey, SurveyError, TunnelError, Tunnels,
};
use crate::ready::Ready;
use crate::spec::{ServiceSpec, SpecError};
use crate::time::Timestamp;

/// Time costs nothing here, so that a wait without an end would only keep its test from failing.
const MOST_SLEEPS: u32 = 10_000;

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        self.state().here()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let mut state = self.state();
        let duration = at.since(state.here());
        state.advance(duration);
        state.sleeps += 1;
        assert!(state.sleeps <= MOST_SLEEPS, "it never comes to an end: {MOST_SLEEPS} sleeps in one story");
    }
}

#[async_trait]
impl Scheduler for World {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        spec.check()
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        spec.check()?;
        let mut state = self.called();
        if state.is_cut_off() {
            return Err(SubmitError::NotSent("no route to host".into()));
        }
        if state.faults.network_silent {
            state.note("network silent");
            return Err(SubmitError::Unclear("no answer came in time".into()));
        }
        if state.is_deaf() {
            return Err(SubmitError::NotSent("connect failure".into()));
        }
        if let Some(words) = state.cluster.behaviour.refused.clone() {
            return Err(SubmitError::Refused { words });
        }
        let (now, faults, keeps) = (state.now, state.faults.clone(), state.keeps());
        let job = state.cluster.submit(id, keeps, &faults, now);
        if faults.submit_reply_lost {
            state.note("answer to a submission lost after its effect");
            return Err(SubmitError::Unclear("connection reset".into()));
        }
        Ok(job)
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let mut state = self.called();
        if state.is_cut_off() {
            return Err(SurveyError::Unreachable("no route to host".into()));
        }
        if state.faults.network_silent {
            state.note("network silent");
            return Err(SurveyError::Unreachable("no answer came in time".into()));
        }
        state.surveys += 1;
        if state.is_deaf() {
            return Err(SurveyError::Scheduler { words: "unable to contact slurm controller".into() });
        }
        if state.faults.garbage == Some(Garbage::Answer) {
            state.note("answer garbled or without any output");
            return Err(SurveyError::Garbled { problem: "it ends in the middle".into() });
        }
        let look = Look { cluster: &state.cluster, faults: &state.faults, now: state.now };
        let sightings = subjects.iter().map(|subject| (subject.id, look.sighting(subject))).collect();
        let survey = Survey { sightings };
        state.note_doubts(&survey);
        Ok(survey)
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let mut state = self.called();
        let unreachable = |why: &str| CancelError::Unreachable { job: job.clone(), source: why.into() };
        if state.is_cut_off() {
            return Err(unreachable("no route to host"));
        }
        if state.faults.network_silent {
            state.note("network silent");
            return Err(unreachable("no answer came in time"));
        }
        if state.is_deaf() {
            return Err(unreachable("connect failure"));
        }
        let (now, faults) = (state.now, state.faults.clone());
        state.cluster.cancel(id, job, &faults, now);
        Ok(())
    }
}

#[async_trait]
impl Tunnels for World {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let mut state = self.called();
        if state.is_cut_off() {
            return Err(TunnelError::Unreachable("no route to host".into()));
        }
        let opened = state.network.open(id, place, local_port, before);
        if matches!(opened, Err(TunnelError::PortTaken { .. })) {
            state.note("local port taken");
        }
        opened
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        self.called().network.close(tunnel);
        Ok(())
    }
}

#[async_trait]
impl Probe for World {
    async fn ping(&self, tunnel: &Tunnel, _path: &str, _ready: &Ready) -> Echo {
        let mut state = self.called();
        if state.network.taken.contains(&tunnel.port) {
            state.note("another program answers at the local port");
            return Echo::Answered;
        }
        let Some(place) = state.network.place_behind(tunnel.port).cloned() else {
            state.note("tunnel gone");
            return Echo::NoRoute("nothing listens on the local port".into());
        };
        if let Some(why) = state.way_is_blocked() {
            return Echo::NoRoute(why.into());
        }
        let own = |place: &Place, of: &Place| of.is_same_address(place);
        let now = state.now;
        let mut answered = false;
        for job in state.cluster.jobs.iter_mut().filter(|job| job.place().is_some_and(|of| own(&place, &of)))
        {
            if job.answers() {
                answered = true;
            } else {
                job.silent_after = job.silent_after.max(Some(job.ran_for(now)));
            }
        }
        if !answered && state.network.strangers.contains(&(place.host, place.port)) {
            state.note("another program answers at the place");
            answered = true;
        }
        if answered { Echo::Answered } else { Echo::Silent("connection refused by the node".into()) }
    }
}

impl State {
    fn is_cut_off(&mut self) -> bool {
        self.faults.network_down && self.shows("network down")
    }

    fn is_deaf(&mut self) -> bool {
        self.faults.scheduler_down && self.shows("scheduler down")
    }

    fn shows(&mut self, fault: &'static str) -> bool {
        self.note(fault);
        true
    }

    /// What the cluster keeps of the next submission.
    pub(super) const fn keeps(&self) -> Keeps {
        match (self.faults.submissions_forgotten, self.faults.submit_reply_lost) {
            (true, _) => Keeps::Nothing,
            (false, true) => Keeps::Trace,
            (false, false) => Keeps::Id,
        }
    }

    /// Why a ping through an open tunnel does not arrive.
    fn way_is_blocked(&mut self) -> Option<&'static str> {
        let Faults { network_down, network_silent, tunnels_stuck, nodes_cut_off, .. } = self.faults;
        let (fault, why) = match (network_down || network_silent, tunnels_stuck, nodes_cut_off) {
            (true, _, _) => ("network down", "the ssh host does not answer"),
            (_, true, _) => ("tunnels stuck", "the connection to the ssh host broke"),
            (_, _, true) => ("nodes cut off", "no route from the ssh host"),
            (false, false, false) => return None,
        };
        self.note(fault);
        Some(why)
    }

    /// Notes which faults a survey's answers show, and what they say of living jobs that is not true.
    fn note_doubts(&mut self, survey: &Survey) {
        for (service, sighting) in &survey.sightings {
            match &sighting.sight {
                Sight::Seen(_) => {}
                Sight::Unseen(_) => self.note(match self.faults.accounting {
                    Accounting::Down => "accounting down",
                    Accounting::Late(_) => "accounting late",
                    Accounting::Fresh | Accounting::None => "one service unseen",
                }),
                Sight::Absent => {
                    let lives = self.cluster.live(*service).next().is_some();
                    let now = self.now;
                    let (_, lied) = self.absences.entry(*service).or_insert((now, None));
                    if lives {
                        *lied = Some(now);
                    }
                    self.note(if lives { "living job called absent" } else { "no job found" });
                }
            }
        }
    }

    /// Sends something that arrives only `after` that.
    pub(super) fn send_late(&mut self, after: std::time::Duration, request: Request) {
        let at = self.now.plus(after);
        self.cluster.send_late(at, request);
    }
}
