//! Laws: what holds for every life, whatever is learnt in whatever order and however the clock jumps.
//!
//! Each property is named after its law. `PROPTEST_CASES` sets how many lives each is tried on (256 if unset).

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
mod paces;
mod planning;
mod support;
mod truth;
mod verdicts;
