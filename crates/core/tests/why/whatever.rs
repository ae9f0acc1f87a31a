//! Whatever a scheduler or a log may say: an explanation comes of it.

use proptest::prelude::*;
use towline_core::testing::{sample_lives, sample_service};
use towline_core::time::Timestamp;
use towline_core::why::{Asked, Evidence, Limit, Memory, Position, explain};

use crate::support::{NOW, waiting, why};

prop_compose! {
    fn evidence()(
        reached: Option<bool>,
        is_local: bool,
        reason: Option<String>,
        position: Option<(u64, u64)>,
        starts_at: Option<i64>,
        asked: [Option<String>; 3],
        limits in prop::collection::vec((any::<String>(), "(Max|Grp|Min)[A-Za-z]{0,9}", any::<String>()), 0..3),
        memory: (Option<u64>, Option<u64>),
        node: Option<String>,
        log: Option<Vec<u8>>,
    ) -> Evidence {
        let [partition, time, nodes] = asked;
        Evidence {
            reached,
            is_local,
            reason,
            position: position.map(|(ahead, waiting)| Position { ahead, waiting }),
            starts_at: starts_at.map(Timestamp::from_micros),
            asked: Asked { partition, time, nodes, ..Asked::default() },
            limits: limits.into_iter().map(|(of, name, value)| Limit { of, name, value }).collect(),
            memory: Memory { limit: memory.0, peak: memory.1 },
            node,
            log: log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            gaps: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn every_life_is_explained_by_any_evidence(evidence in evidence(), now: i64) {
        for life in sample_lives() {
            let mut service = sample_service(1, "web");
            service.life = life;
            let told = explain(&service, &evidence, Timestamp::from_micros(now));
            prop_assert!(told.sentence.starts_with("service web ") && !told.advice.is_empty(), "{told:?}");
            prop_assert!(told.log.len() <= 10);
        }
    }

    #[test]
    fn any_word_is_passed_on_as_it_is(word: String) {
        let told = why(&waiting(&word), &Evidence::default());
        prop_assert_eq!(&told.evidence[0].text, &word);
    }

    /// Words made of the parts of known ones are read or passed on, and never panic.
    #[test]
    fn words_that_are_almost_known_do_no_harm(
        word in "(Assoc|Association|QOS|)(Grp|Max|Min|)(Cpu|Mem|GRES|Wall|Jobs|é|)(PerJob|Minutes|PerUser|PerAccount|)(Limit|)"
    ) {
        let told = explain(&waiting(&word), &Evidence::default(), NOW);
        prop_assert!(!told.advice.is_empty());
    }
}
