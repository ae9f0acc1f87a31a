//! A scheduler that keeps every promise but one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use towline_core::ports::{CancelError, Scheduler, Subject, SubmitError, Survey, SurveyError};
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::testing::Faults;

use crate::flaws::Flaw;
use crate::world_bench::Staged;

/// A good scheduler, spoilt by one flaw.
pub(crate) struct Broken {
    good: Arc<Staged>,
    flaw: Flaw,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    owners: BTreeMap<JobId, ServiceId>,
    places: BTreeMap<ServiceId, Place>,
    cancelled: Vec<JobId>,
    ends: u32,
}

impl Broken {
    pub(crate) fn new(good: Arc<Staged>, flaw: Flaw) -> Self {
        Self { good, flaw, memory: Mutex::default() }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// The service that has that job.
    fn owner(&self, job: &JobId) -> Option<ServiceId> {
        self.memory.lock().unwrap().owners.get(job).copied()
    }

    /// Makes another job of a service that has one.
    async fn submit_anew(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        let faults = self.good.world.faults();
        self.good.world.break_down(Faults { submissions_forgotten: true, ..faults.clone() });
        let answer = self.good.submit(id, spec).await;
        self.good.world.break_down(faults);
        answer
    }

    fn spoil(&self, id: ServiceId, mut sighting: Sighting) -> Sighting {
        let mut memory = self.memory.lock().unwrap();
        match (self.flaw, &sighting.sight) {
            (Flaw::IsNeverSure, Sight::Absent) => return Sighting::unseen("who knows"),
            (Flaw::OverlooksTheQueue, Sight::Seen(JobReport { state: JobState::Queued, .. }))
            | (Flaw::ForgetsEnds, Sight::Seen(JobReport { state: JobState::Ended(_), .. })) => {
                return Sighting::absent(None);
            }
            (Flaw::KeepsPlaces, _) => {
                if let Some(place) = &sighting.place {
                    memory.places.insert(id, place.clone());
                }
                sighting.place = memory.places.get(&id).cloned();
            }
            _ => {}
        }
        if let (Flaw::ListensTooSoon, Some(place)) = (self.flaw, &mut sighting.place) {
            place.listening = true;
        }
        if let Sight::Seen(report) = &mut sighting.sight {
            self.spoil_report(report, &mut memory);
        }
        sighting
    }

    fn spoil_report(&self, report: &mut JobReport, memory: &mut Memory) {
        if self.has(Flaw::MarksRunsAlike) {
            report.run = report.run.and(Some(1));
        }
        let JobState::Ended(end) = &mut report.state else { return };
        match self.flaw {
            Flaw::LosesExitCodes => end.exit = None,
            Flaw::PraisesFailures if end.outcome == Outcome::Failed => {
                end.outcome = Outcome::Completed;
                end.exit = Some(ExitStatus { code: 0, signal: None });
            }
            Flaw::TakesEndsBack => {
                memory.ends += 1;
                if memory.ends.is_multiple_of(2) {
                    report.state = JobState::Leaving;
                }
            }
            _ => {}
        }
    }

    /// Whom to ask about instead.
    fn mistake(&self, subject: &Subject) -> Subject {
        let id = subject.job.as_ref().and_then(|job| self.owner(job)).unwrap_or(subject.id);
        Subject { id, ..subject.clone() }
    }

    fn of_silence(&self, subject: &Subject) -> Option<Sighting> {
        let id = subject.job.clone()?;
        let end = JobEnd { outcome: Outcome::Failed, exit: None, reason: None };
        let report = JobReport {
            id,
            state: JobState::Ended(end),
            word: "FAILED".to_owned(),
            node: None,
            reason: None,
            running_for: None,
            time_left: None,
            run: None,
        };
        Some(Sighting { sight: Sight::Seen(report), ..Sighting::absent(None) })
    }
}

#[async_trait]
impl Scheduler for Broken {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        if self.has(Flaw::ChecksNothing) { Ok(()) } else { self.good.check(spec) }
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        let has_one = self.memory.lock().unwrap().owners.values().any(|owner| *owner == id);
        let again = self.has(Flaw::ForgetsSubmissions)
            || self.has(Flaw::StartsAgain) && has_one && self.good.world.live_jobs(id) == 0;
        let answer = if again { self.submit_anew(id, spec).await } else { self.good.submit(id, spec).await };
        if let Ok(job) = &answer {
            self.memory.lock().unwrap().owners.insert(job.clone(), id);
        }
        match answer {
            Err(SubmitError::Unclear(source)) if self.has(Flaw::MakesLightOfDoubt) => {
                Err(SubmitError::NotSent(source))
            }
            Err(SubmitError::Refused { words }) if self.has(Flaw::DoubtsRefusals) => {
                Err(SubmitError::Unclear(words.into()))
            }
            answer => answer,
        }
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let asked: Vec<Subject> = match self.flaw {
            Flaw::TrustsIds => subjects.iter().map(|subject| self.mistake(subject)).collect(),
            _ => subjects.to_vec(),
        };
        let mut told = match self.good.survey(&asked).await {
            Ok(survey) => survey.sightings,
            Err(error) => {
                let sighting = |subject: &Subject| match self.flaw {
                    Flaw::TakesSilenceForAbsence => Some(Sighting::absent(None)),
                    Flaw::TakesSilenceForAnEnd => self.of_silence(subject),
                    _ => None,
                };
                let sightings: BTreeMap<_, _> =
                    subjects.iter().filter_map(|subject| Some((subject.id, sighting(subject)?))).collect();
                return if sightings.is_empty() { Err(error) } else { Ok(Survey { sightings }) };
            }
        };
        let first = asked.first().and_then(|subject| told.get(&subject.id).cloned());
        let mut sightings = BTreeMap::new();
        for (index, (subject, asked)) in subjects.iter().zip(&asked).enumerate() {
            let Some(sighting) = told.remove(&asked.id) else { continue };
            let sighting = match self.flaw {
                Flaw::LosesTheToken if subject.job.is_none() => Sighting::absent(None),
                Flaw::MixesServices => first.clone().unwrap_or(sighting),
                Flaw::CutsLongAnswers if index >= 10 => Sighting::unseen("cut"),
                _ => sighting,
            };
            sightings.insert(subject.id, self.spoil(subject.id, sighting));
        }
        if self.has(Flaw::TellsTales)
            && let Some(owner) = self.memory.lock().unwrap().owners.values().next()
        {
            sightings.entry(*owner).or_insert_with(|| Sighting::absent(None));
        }
        Ok(Survey { sightings })
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        if self.has(Flaw::CancelsOnce) {
            let mut memory = self.memory.lock().unwrap();
            if memory.cancelled.contains(job) {
                return Err(CancelError::Refused { job: job.clone(), words: "it was cancelled".to_owned() });
            }
            memory.cancelled.push(job.clone());
        }
        let waits = self.good.world.jobs(id).iter().any(|job| job.state == JobState::Queued);
        let answer = match self.flaw {
            Flaw::CancelsEverybody => {
                let owners = self.memory.lock().unwrap().owners.clone();
                for (job, owner) in owners {
                    self.good.cancel(owner, &job).await?;
                }
                Ok(())
            }
            Flaw::CancelsById => self.good.cancel(self.owner(job).unwrap_or(id), job).await,
            Flaw::LeavesTheQueueAlone if waits => Ok(()),
            _ => self.good.cancel(id, job).await,
        };
        if self.has(Flaw::TakesCancelsForHeard) { Ok(()) } else { answer }
    }
}
