//! PENDING in one of several partitions, or in one whose limits are known.

use towline_core::why::{Asked, Evidence, Explanation, Limit, Outlook, Topic};

use crate::support::{assert_says, on, waiting, why};

/// Limits of partitions: which, its name, its value.
fn limits(told: &[(&str, &str, &str)]) -> Vec<Limit> {
    let limit = |(partition, name, value): &(&str, &str, &str)| Limit {
        of: format!("partition {partition}"),
        name: (*name).into(),
        value: (*value).into(),
    };
    told.iter().map(limit).collect()
}

fn explained(reason: &str, partitions: &str, asked: Asked, told: &[(&str, &str, &str)]) -> Explanation {
    let asked = Asked { partition: Some(partitions.into()), ..asked };
    why(&waiting(reason), &Evidence { asked, limits: limits(told), ..Evidence::default() })
}

fn hours(time: &str) -> Asked {
    Asked { time: Some(time.into()), ..Asked::default() }
}

fn nodes(number: &str) -> Asked {
    Asked { nodes: Some(number.into()), ..Asked::default() }
}

const SHORT: (&str, &str, &str) = ("short", "MaxTime", "00:02:00");

#[test]
fn one_partition_that_allows_it_is_enough() {
    for long in ["7-00:00:00", "UNLIMITED", "05:00:00"] {
        let told = explained(
            "PartitionTimeLimit",
            "short,long",
            hours("5:00:00"),
            &[SHORT, ("long", "MaxTime", long)],
        );
        assert_says(
            &told.sentence,
            &[
                "service web waits in the queue: partition long may start it, while the scheduler says of one that",
                "partition short allows 00:02:00",
                &format!("partition long allows {long}"),
            ],
        );
        assert_eq!(
            (told.outlook, told.advice.as_str()),
            (Outlook::Waits, "wait: long allows what it asks for")
        );
    }
}

#[test]
fn it_never_starts_if_every_partition_excludes_it() {
    let long = ("long", "MaxTime", "04:59:59");
    let told = explained("PartitionTimeLimit", "short,long", hours("5:00:00"), &[SHORT, long]);
    assert_says(&told.sentence, &["will never start as it is", "partition long allows 04:59:59"]);
    assert_eq!(told.outlook, Outlook::Never);
    // Of one nothing is known.
    let told = explained("PartitionTimeLimit", "short,long", hours("5:00:00"), &[SHORT]);
    assert_says(
        &told.sentence,
        &["waits in the queue: another one of its partitions (short, long) may start it"],
    );
    assert_eq!(told.outlook, Outlook::Waits);
    // The scheduler's own word on the only one is enough.
    assert_eq!(explained("PartitionTimeLimit", "short", hours("5:00:00"), &[]).outlook, Outlook::Never);
    // It was changed since.
    let raised = explained("PartitionTimeLimit", "short", hours("1:00"), &[SHORT]);
    assert_says(&raised.sentence, &["waits in the queue: the scheduler's last word", "limit allows it now"]);
}

#[test]
fn no_word_that_is_said_of_one_partition_is_said_of_all() {
    let words = [
        "PartitionNodeLimit",
        "PartitionDown",
        "PartitionInactive",
        "PartitionConfig",
        "MaxMemPerLimit",
        "AccountNotAllowed",
        "QOSNotAllowed",
        "QOSMaxWallDurationPerJobLimit",
        "Job's account not permitted to use this partition",
        "Job's QOS not permitted to use this partition",
    ];
    for word in words {
        let several = explained(word, "short,long", Asked::default(), &[]);
        assert_says(
            &several.sentence,
            &["waits in the queue: ", "of its partitions (short, long) may start it"],
        );
        assert_eq!(several.outlook, Outlook::Waits, "{word}");
        let one = explained(word, "short", Asked::default(), &[]);
        assert!(matches!(one.outlook, Outlook::Never | Outlook::Blocked), "{word}");
    }
    // That is how it was asked for, if the cluster does not tell.
    let mut service = waiting("PartitionTimeLimit");
    std::sync::Arc::make_mut(&mut service.spec).resources.partition = Some("short,long".into());
    assert_eq!(why(&service, &Evidence::default()).outlook, Outlook::Waits);
    for word in ["InvalidAccount", "BadConstraints", "AssocMaxCpuPerJobLimit"] {
        assert_eq!(explained(word, "short,long", Asked::default(), &[]).outlook, Outlook::Never, "{word}");
    }
}

#[test]
fn too_many_nodes_are_never_had_and_nodes_that_are_down_come_back() {
    let of =
        |asked: &str, told: &[(&str, &str, &str)]| explained("PartitionNodeLimit", "gpu", nodes(asked), told);
    let three = [("gpu", "MaxNodes", "UNLIMITED"), ("gpu", "TotalNodes", "3")];
    for asked in ["4", "4-6"] {
        let told = of(asked, &three);
        assert_says(
            &told.sentence,
            &["will never start as it is: it asks for more nodes", "partition gpu allows 3"],
        );
        assert_says(&told.advice, &["fewer --nodes"]);
    }
    for (asked, told) in [("3", &three[..]), ("2-6", &three), ("4", &[]), ("odd", &three)] {
        let told = of(asked, told);
        assert_eq!(told.outlook, Outlook::Blocked, "{asked}");
        assert_says(&told.advice, &["sinfo -R"]);
    }
    let two = [("gpu", "MaxNodes", "2"), ("gpu", "TotalNodes", "3")];
    assert_eq!(on(&of("3", &two), Topic::Limit), Some("MaxNodes 2 of partition gpu"));
    assert_eq!(of("3", &two).outlook, Outlook::Never);
    let wide = [("gpu", "TotalNodes", "3"), ("cpu", "TotalNodes", "9")];
    let told = explained("PartitionNodeLimit", "gpu,cpu", nodes("4"), &wide);
    assert_eq!((told.outlook, told.advice.as_str()), (Outlook::Waits, "wait: cpu allows what it asks for"));
}

#[test]
fn memory_has_limits_of_a_node_and_of_a_cpu() {
    let asked = Asked { memory: Some("64G".into()), ..Asked::default() };
    let told = [("gpu", "MaxMemPerNode", "UNLIMITED"), ("gpu", "MaxMemPerCPU", "4000")];
    let told = explained("MaxMemPerLimit", "gpu", asked, &told);
    assert_says(&told.sentence, &["it asks for 64G, partition gpu allows 4000M per CPU"]);
    assert_eq!(on(&told, Topic::Limit), Some("MaxMemPerCPU 4000 of partition gpu"));
}
