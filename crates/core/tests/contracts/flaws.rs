//! Schedulers that break one promise each, all of which the contract catches.

use crate::complaint;
use crate::world_bench::WorldBench;

/// What is wrong with a scheduler that keeps all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Takes every spec for a good one.
    ChecksNothing,
    /// Calls a lost answer to a submission one that was never sent.
    MakesLightOfDoubt,
    /// Calls a refusal a doubt.
    DoubtsRefusals,
    /// Makes another job whenever it is asked.
    ForgetsSubmissions,
    /// Makes another job once the first has ended.
    StartsAgain,
    /// Finds jobs by their ids alone, and without one not at all.
    LosesTheToken,
    /// Takes the job that has the id for the service's own.
    TrustsIds,
    /// Tells everybody what is true of the first.
    MixesServices,
    /// Tells of somebody who was not asked for.
    TellsTales,
    /// Loses all but the first few of many.
    CutsLongAnswers,
    /// Knows jobs only from when they run.
    OverlooksTheQueue,
    /// Takes an answer that did not come for an empty one.
    TakesSilenceForAbsence,
    /// Takes a job that it cannot see for one that has ended.
    TakesSilenceForAnEnd,
    /// Says that it does not know where it does.
    IsNeverSure,
    /// Forgets jobs as soon as they have ended.
    ForgetsEnds,
    /// Takes an end back.
    TakesEndsBack,
    /// Does not tell exit codes.
    LosesExitCodes,
    /// Calls every end by itself a success.
    PraisesFailures,
    /// Tells a place as one where the server listens before it does.
    ListensTooSoon,
    /// Keeps telling a place once there was one.
    KeepsPlaces,
    /// Marks all runs of a job alike.
    MarksRunsAlike,
    /// Cancels all jobs that it knows.
    CancelsEverybody,
    /// Cancels whichever job has the id.
    CancelsById,
    /// Takes a cancel for heard before it is.
    TakesCancelsForHeard,
    /// Refuses to cancel what was cancelled.
    CancelsOnce,
    /// Does not cancel what waits.
    LeavesTheQueueAlone,
}

/// Each flaw, and the words by which the contract finds it.
const FOUND: [(Flaw, &str); 26] = [
    (Flaw::ChecksNothing, "a spec that nothing can run is refused"),
    (Flaw::MakesLightOfDoubt, "a submission whose answer is lost may have made a job"),
    (Flaw::DoubtsRefusals, "a job is refused"),
    (Flaw::ForgetsSubmissions, "the job that there is"),
    (Flaw::StartsAgain, "the job that there is"),
    (Flaw::LosesTheToken, "a job that was seen is not absent soon after"),
    (Flaw::TrustsIds, "a job is found by its token, whatever its id says"),
    (Flaw::MixesServices, "a job is told however many others are asked for"),
    (Flaw::TellsTales, "a survey tells only of whom it was asked"),
    (Flaw::CutsLongAnswers, "a job is told however many others are asked for"),
    (Flaw::OverlooksTheQueue, "a job waits"),
    (Flaw::TakesSilenceForAbsence, "who cannot be seen is not absent"),
    (Flaw::TakesSilenceForAnEnd, "at most it is told as it was"),
    (Flaw::IsNeverSure, "a service without a job is absent"),
    (Flaw::ForgetsEnds, "a job that was seen is not absent soon after"),
    (Flaw::TakesEndsBack, "a job goes forward"),
    (Flaw::LosesExitCodes, "a failure has its exit code"),
    (Flaw::PraisesFailures, "a failure has its exit code"),
    (Flaw::ListensTooSoon, "a server listens at"),
    (Flaw::KeepsPlaces, "only a job that runs has a place"),
    (Flaw::MarksRunsAlike, "a later run has a greater mark"),
    (Flaw::CancelsEverybody, "nothing happens to it"),
    (Flaw::CancelsById, "nothing happens to it"),
    (Flaw::TakesCancelsForHeard, "a cancel that nobody hears is no success"),
    (Flaw::CancelsOnce, "a cancel is heard"),
    (Flaw::LeavesTheQueueAlone, "a job ends"),
];

#[test]
fn each_broken_promise_is_found() {
    let missed: Vec<_> = FOUND
        .iter()
        .map(|(flaw, words)| (flaw, words, complaint(|| WorldBench::keeps_the_contract(Some(*flaw)))))
        .filter(|(_, words, complaint)| !complaint.contains(*words))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
