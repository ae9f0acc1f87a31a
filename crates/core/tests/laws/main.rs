//! Laws: what holds for every life, whatever is learnt in whatever order and however the clock jumps.
//!
//! Each property is named after its law, and they come in this order: which statuses follow which, and on what evidence
//! (`verdicts`, `knowledge`); what is told twice or too late (`folding`); what plans promise (`planning`, `paces`); how services are
//! stopped and what an end owes (`ending`); clocks that jump (`clocks`); what ledgers hold (`keeping`). A `census` sees
//! to it that the random lives come to all that the laws speak of.
//!
//! `PROPTEST_CASES` sets on how many lives each is tried (256 if unset).

#![expect(
    clippy::unwrap_used,
    reason = "a wish that is refused and a life that cannot be read have failed the test"
)]

mod answers;
mod census;
mod clocks;
mod ending;
mod folding;
mod keeping;
mod knowledge;
mod paces;
mod planning;
mod support;
mod truth;
mod verdicts;
