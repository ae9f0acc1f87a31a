//! Recorded answers with damaged rows: what the others say stays, and the damaged claim nothing new.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use towline_core::job::{JobReport, JobState, Sight, Sighting};
use towline_core::ports::Subject;

use crate::answer::{UNIT, look};
use crate::captures::{recorded, subjects};
use crate::mutation::{Damage, Effect, damage, is_row, pieces};

/// Damages the rows at some of the places; returns the answer, and the damage of each row.
fn damaged(pieces: &[String], damages: &[(Index, Damage)]) -> (Vec<u8>, BTreeMap<usize, Damage>) {
    let rows: Vec<usize> = (0..pieces.len()).filter(|&at| is_row(&pieces[at])).collect();
    let mut done = BTreeMap::new();
    for (at, damage) in damages {
        let at = rows[at.index(rows.len())];
        done.insert(at, damage.clone());
    }
    // Other lines of ours are printed by the shell, each with its end; and two halves may make a row that was none.
    let has_next = |at: usize| {
        let is_whole = !matches!(done.get(&(at + 1)), Some(Damage::LostHead(_)));
        is_whole && pieces.get(at + 1).is_some_and(|next| is_row(next))
    };
    let kept = |at: usize, damage: &Damage| !matches!(damage, Damage::CutWithItsLineEnd(_)) || has_next(at);
    let possible = done.iter().filter(|(at, damage)| kept(**at, damage));
    let done: BTreeMap<usize, Damage> = possible.map(|(at, damage)| (*at, damage.clone())).collect();
    let piece =
        |at: usize| done.get(&at).map_or(pieces[at].clone().into_bytes(), |damage| damage.apply(&pieces[at]));
    ((0..pieces.len()).flat_map(piece).collect(), done)
}

/// Whether both say the same; the exit code of a job that the queue lists is accounting's, and may be missing.
fn is_same(before: &Sighting, after: &Sighting) -> bool {
    let without_exit = |sighting: &Sighting| {
        let mut sighting = sighting.clone();
        if let Sight::Seen(JobReport { state: JobState::Ended(end), .. }) = &mut sighting.sight {
            end.exit = None;
        }
        sighting
    };
    before == after || without_exit(before) == *after
}

/// Whether what is told of a service, of which some rows were damaged, may come of what was told before.
fn is_allowed(before: &Sighting, after: &Sighting, effects: &[Effect], rows: &[&String]) -> bool {
    let unseen = matches!(after.sight, Sight::Unseen(_));
    match (effects, rows) {
        (effects, _) if effects.iter().all(|effect| *effect == Effect::None) => before == after,
        ([Effect::Unseen], [_]) => unseen,
        ([Effect::Doubt], [_]) => unseen || before == after,
        // Of several rows another may count now; it is one of those that were there.
        _ => match &after.sight {
            Sight::Seen(report) => {
                let begin = format!("{}\u{1f}{}\u{1f}", report.id, report.word);
                rows.iter().any(|row| row[2..].starts_with(&begin))
            }
            Sight::Absent => false,
            Sight::Unseen(_) => true,
        },
    }
}

/// Whether a row of the queue lost the number of its job: it may be that of any job that the queue misses.
fn is_anyones(row: &str, damage: &Damage) -> bool {
    let number = row[2..].find(UNIT).expect("a row");
    let bytes = damage.apply(row);
    let number_stands = bytes.starts_with(&row.as_bytes()[..number + 3]);
    let is_whole = matches!(damage.effect(), Effect::None)
        || matches!(damage, Damage::OfAnArray | Damage::OfAHetJob | Damage::AStep);
    row.starts_with("\u{1e}Q") && !is_whole && !number_stands
}

fn check(name: &str, damages: &[(Index, Damage)]) -> Result<(), TestCaseError> {
    let (subjects, pieces) = (subjects(), pieces(&recorded(name)));
    let before = look(pieces.concat().into_bytes(), &subjects).expect("a whole answer");
    let (answer, done) = damaged(&pieces, damages);
    let after = look(answer.clone(), &subjects);
    let after = after.map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
    for (n, Subject { id, .. }) in subjects.iter().enumerate() {
        let token = id.to_string();
        let mine = |at: &usize| is_row(&pieces[*at]) && pieces[*at].contains(&token);
        let rows: Vec<_> = (0..pieces.len()).filter(mine).map(|at| &pieces[at]).collect();
        let effects: Vec<_> =
            done.iter().filter(|(at, _)| mine(at)).map(|(_, damage)| damage.effect()).collect();
        let queued = rows.iter().any(|row| row.starts_with("\u{1e}Q"));
        let anyones = !queued && done.iter().any(|(at, damage)| is_anyones(&pieces[*at], damage));
        let fine = match (&before[n].sight, &after[n].sight) {
            (Sight::Absent, after) => !matches!(after, Sight::Seen(_)),
            (_, Sight::Unseen(_)) if anyones => true,
            _ if effects.is_empty() => before[n] == after[n],
            _ => is_allowed(&before[n], &after[n], &effects, &rows),
        };
        let (before, after, text) = (&before[n], &after[n], String::from_utf8_lossy(&answer));
        prop_assert!(fine, "{done:?}\n{token}\nbefore: {before:?}\nafter: {after:?}\n{text:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn of_a_queue(damages in prop::collection::vec((any::<Index>(), damage()), 1..5)) {
        check("queue", &damages)?;
    }

    #[test]
    fn of_a_queue_and_an_accounting(damages in prop::collection::vec((any::<Index>(), damage()), 1..5)) {
        check("requeued", &damages)?;
    }

    #[test]
    fn of_an_accounting(damages in prop::collection::vec((any::<Index>(), damage()), 1..5)) {
        check("vanished", &damages)?;
    }
}

/// Every row of every answer, cut at every place.
#[test]
fn no_cut_makes_a_job_absent_or_another() {
    for name in ["queue", "requeued", "vanished"] {
        let (subjects, pieces) = (subjects(), pieces(&recorded(name)));
        let before = look(pieces.concat().into_bytes(), &subjects).unwrap();
        for at in (0..pieces.len()).filter(|&at| is_row(&pieces[at])) {
            for end in (2..pieces[at].len() - 1).filter(|&end| pieces[at].is_char_boundary(end)) {
                let mut cut = pieces.clone();
                cut[at].replace_range(end.., "\n");
                let after = look(cut.concat().into_bytes(), &subjects).unwrap();
                for (n, subject) in subjects.iter().enumerate() {
                    let token = subject.id.to_string();
                    let rows = |mark: &str| {
                        pieces.iter().filter(|row| row.starts_with(mark) && row.contains(&token)).count()
                    };
                    let own = pieces[at].contains(&token);
                    let fine = match &after[n].sight {
                        // Of two rows the other counts.
                        Sight::Seen(_) => is_same(&before[n], &after[n]) || (own && rows("") > 1),
                        Sight::Absent => before[n].sight == Sight::Absent,
                        Sight::Unseen(_) => own || rows("\u{1e}Q") == 0,
                    };
                    assert!(fine, "{name} {:?}: {:?}", cut[at], after[n]);
                }
            }
        }
    }
}
