//! PENDING: the words by which Slurm says why a job waits.

use towline_core::why::{Asked, Evidence, Limit, Outlook, Position, Topic};

use crate::support::{NOW, ago, assert_says, on, waiting, why};

/// Every reason of Slurm: the table in `src/common/job_state_reason.c` as of 25.11, and those that 20.11 to 24.11 had
/// besides.
const WORDS: &str = "
    None Priority Dependency Resources PartitionNodeLimit PartitionTimeLimit PartitionDown PartitionInactive
    JobHeldAdmin BeginTime Licenses AssociationJobLimit AssociationResourceLimit AssociationTimeLimit Reservation
    ReqNodeNotAvail JobHeldUser FrontEndDown SchedDefer NodeDown BadConstraints SystemFailure JobLaunchFailure
    NonZeroExitCode TimeLimit InactiveLimit InvalidAccount InvalidQOS QOSUsageThreshold QOSJobLimit QOSResourceLimit
    QOSTimeLimit RaisedSignal Cleaning Prolog QOSNotAllowed AccountNotAllowed DependencyNeverSatisfied QOSGrpCpuLimit
    QOSGrpCPUMinutesLimit QOSGrpCPURunMinutesLimit QOSGrpJobsLimit QOSGrpMemLimit QOSGrpNodeLimit QOSGrpSubmitJobsLimit
    QOSGrpWallLimit QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit QOSMaxNodePerJobLimit
    QOSMaxWallDurationPerJobLimit QOSMaxCpuPerUserLimit QOSMaxJobsPerUserLimit QOSMaxNodePerUserLimit
    QOSMaxSubmitJobPerUserLimit QOSMinCpuNotSatisfied AssocGrpCpuLimit AssocGrpCPUMinutesLimit
    AssocGrpCPURunMinutesLimit AssocGrpJobsLimit AssocGrpMemLimit AssocGrpNodeLimit AssocGrpSubmitJobsLimit
    AssocGrpWallLimit AssocMaxJobsLimit AssocMaxCpuPerJobLimit AssocMaxCpuMinutesPerJobLimit AssocMaxNodePerJobLimit
    AssocMaxWallDurationPerJobLimit AssocMaxSubmitJobLimit JobHoldMaxRequeue JobArrayTaskLimit BurstBufferResources
    BurstBufferStageIn BurstBufferOperation PowerNotAvail PowerReserved AssocGrpUnknown AssocGrpUnknownMinutes
    AssocGrpUnknownRunMinutes AssocMaxUnknownPerJob AssocMaxUnknownPerNode AssocMaxUnknownMinutesPerJob
    AssocMaxCpuPerNode AssocGrpMemMinutes AssocGrpMemRunMinutes AssocMaxMemPerJob AssocMaxMemPerNode
    AssocMaxMemMinutesPerJob AssocGrpNodeMinutes AssocGrpNodeRunMinutes AssocMaxNodeMinutesPerJob AssocGrpEnergy
    AssocGrpEnergyMinutes AssocGrpEnergyRunMinutes AssocMaxEnergyPerJob AssocMaxEnergyPerNode
    AssocMaxEnergyMinutesPerJob AssocGrpGRES AssocGrpGRESMinutes AssocGrpGRESRunMinutes AssocMaxGRESPerJob
    AssocMaxGRESPerNode AssocMaxGRESMinutesPerJob AssocGrpLicense AssocGrpLicenseMinutes AssocGrpLicenseRunMinutes
    AssocMaxLicensePerJob AssocMaxLicenseMinutesPerJob AssocGrpBB AssocGrpBBMinutes AssocGrpBBRunMinutes
    AssocMaxBBPerJob AssocMaxBBPerNode AssocMaxBBMinutesPerJob QOSGrpUnknown QOSGrpUnknownMinutes
    QOSGrpUnknownRunMinutes QOSMaxUnknownPerJob QOSMaxUnknownPerNode QOSMaxUnknownPerUser QOSMaxUnknownMinutesPerJob
    QOSMinUnknown QOSMaxCpuPerNode QOSGrpMemoryMinutes QOSGrpMemoryRunMinutes QOSMaxMemoryMinutesPerJob
    QOSMaxMemoryPerJob QOSMaxMemoryPerNode QOSMaxMemoryPerUser QOSMinMemory QOSGrpEnergy QOSGrpEnergyMinutes
    QOSGrpEnergyRunMinutes QOSMaxEnergyPerJob QOSMaxEnergyPerNode QOSMaxEnergyPerUser QOSMaxEnergyMinutesPerJob
    QOSMinEnergy QOSGrpNodeMinutes QOSGrpNodeRunMinutes QOSMaxNodeMinutesPerJob QOSMinNode QOSGrpGRES
    QOSGrpGRESMinutes QOSGrpGRESRunMinutes QOSMaxGRESPerJob QOSMaxGRESPerNode QOSMaxGRESPerUser
    QOSMaxGRESMinutesPerJob QOSMinGRES QOSGrpLicense QOSGrpLicenseMinutes QOSGrpLicenseRunMinutes QOSMaxLicensePerJob
    QOSMaxLicensePerUser QOSMaxLicenseMinutesPerJob QOSMinLicense QOSGrpBB QOSGrpBBMinutes QOSGrpBBRunMinutes
    QOSMaxBBPerJob QOSMaxBBPerNode QOSMaxBBPerUser QOSMaxBBMinutesPerJob QOSMinBB DeadLine MaxBBPerAccount
    MaxCpuPerAccount MaxEnergyPerAccount MaxGRESPerAccount MaxNodePerAccount MaxLicensePerAccount MaxMemoryPerAccount
    MaxUnknownPerAccount MaxJobsPerAccount MaxSubmitJobsPerAccount PartitionConfig AccountingPolicy FedJobLock
    OutOfMemory MaxMemPerLimit AssocGrpBilling AssocGrpBillingMinutes AssocGrpBillingRunMinutes AssocMaxBillingPerJob
    AssocMaxBillingPerNode AssocMaxBillingMinutesPerJob QOSGrpBilling QOSGrpBillingMinutes QOSGrpBillingRunMinutes
    QOSMaxBillingPerJob QOSMaxBillingPerNode QOSMaxBillingPerUser QOSMaxBillingMinutesPerJob MaxBillingPerAccount
    QOSMinBilling ReservationDeleted ReservationInvalid Constraints MaxBBRunMinsPerAccount MaxBillingRunMinsPerAccount
    MaxCpuRunMinsPerAccount MaxEnergyRunMinsPerAccount MaxGRESRunMinsPerAccount MaxNodeRunMinsPerAccount
    MaxLicenseRunMinsPerAccount MaxMemoryRunMinsPerAccount MaxUnknownRunMinsPerAccount MaxBBRunMinsPerUser
    MaxBillingRunMinsPerUser MaxCpuRunMinsPerUser MaxEnergyRunMinsPerUser MaxGRESRunMinsPerUser MaxNodeRunMinsPerUser
    MaxLicenseRunMinsPerUser MaxMemoryRunMinsPerUser MaxUnknownRunMinsPerUser MaxPoweredUpNodes MpiPortsBusy
    BlockMaxError BlockFreeAction";

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_whitespace()
}

#[test]
fn every_word_of_slurm_is_known_and_has_advice() {
    for word in words() {
        let told = why(&waiting(word), &Evidence::default());
        assert!(!told.sentence.contains("does not know"), "{word}: {}", told.sentence);
        assert!(told.sentence.starts_with("service web "), "{word}: {}", told.sentence);
        assert!(!told.advice.is_empty(), "{word}");
        assert_eq!(on(&told, Topic::Reason), Some(word));
    }
    assert!(words().count() >= 215, "{}", words().count());
}

#[test]
fn what_can_never_start_is_said_so() {
    let outlook = |word: &str| why(&waiting(word), &Evidence::default()).outlook;
    let never: Vec<&str> = words().filter(|word| outlook(word) == Outlook::Never).collect();
    for word in &never {
        let told = why(&waiting(word), &Evidence::default());
        assert_says(&told.sentence, &["service web will never start as it is: "]);
    }
    // Of the limits those of a job by itself: no other job's end makes room for it.
    for word in words()
        .filter(|word| word.starts_with("Assoc") || word.starts_with("QOSM") || word.starts_with("QOSG"))
    {
        let of_one_job = ["PerJob", "PerJobLimit", "PerNode"].iter().any(|end| word.ends_with(end));
        assert_eq!(never.contains(&word), of_one_job || word.starts_with("QOSMin"), "{word}");
    }
    let others = ["PartitionTimeLimit", "BadConstraints", "DependencyNeverSatisfied", "InvalidQOS"];
    assert!(others.iter().all(|word| never.contains(word)));
    for word in
        ["Resources", "Priority", "BeginTime", "Dependency", "AssocMaxJobsLimit", "QOSMaxCpuPerUserLimit"]
    {
        assert_eq!(outlook(word), Outlook::Waits, "{word}");
    }
    for word in
        ["JobHeldUser", "JobHeldAdmin", "PartitionDown", "PartitionNodeLimit", "AssocGrpCPUMinutesLimit"]
    {
        assert_eq!(outlook(word), Outlook::Blocked, "{word}");
    }
}

#[test]
fn a_word_that_is_not_known_is_passed_on() {
    let told = why(&waiting("FluxCapacitor"), &Evidence::default());
    assert_says(&told.sentence, &["the scheduler says \"FluxCapacitor\", which Towline does not know"]);
    assert_eq!((on(&told, Topic::Reason), told.outlook), (Some("FluxCapacitor"), Outlook::Waits));
    assert_says(&told.advice, &["scontrol show job 7"]);
}

#[test]
fn what_slurm_adds_to_a_word_stays_with_it() {
    let cases = [
        ("ReqNodeNotAvail, UnavailableNodes:c[2-3]", "nodes that it needs are down or drained (c[2-3])"),
        ("ReqNodeNotAvail(Unavailable:c2)", "drained, reserved or in use (Unavailable:c2)"),
        ("ReqNodeNotAvail", "drained, reserved or in use"),
        ("Licenses, of another cluster", "the licenses that it asks for are in use (of another cluster)"),
        ("QOSGrpJobsLimit, x", "may have together (x)"),
    ];
    for (text, expected) in cases {
        let told = why(&waiting(text), &Evidence::default());
        assert!(told.sentence.ends_with(expected), "{text}: {}", told.sentence);
        assert_eq!(on(&told, Topic::Reason), Some(text));
    }
}

/// `node_scheduler.c` and `job_scheduler.c` put these in a word's place; all pass by themselves.
#[test]
fn nodes_that_others_have_reserved_are_waited_for() {
    let cases = [
        (
            "ReqNodeNotAvail, Reserved for maintenance",
            "the cluster is reserved for maintenance before it could end",
            "wait until the maintenance is over, or stop it and start it again with a --time that ends before",
        ),
        (
            "ReqNodeNotAvail, May be reserved for other job",
            "the nodes that it needs may be reserved for other jobs",
            "a shorter --time",
        ),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "nodes that it needs are down, drained or reserved for jobs in partitions of a higher priority",
            "wait",
        ),
        (
            "Nodes required for job are DOWN, DRAINED, REBOOTING or reserved for jobs in higher priority partitions",
            "nodes that it needs are down, drained or reserved for jobs in partitions of a higher priority",
            "wait",
        ),
    ];
    for (text, meaning, advice) in cases {
        let told = why(&waiting(text), &Evidence::default());
        assert_eq!(told.sentence, format!("service web waits in the queue: {meaning}"), "{text}");
        assert_says(&told.advice, &[advice]);
        assert!(!told.advice.contains("--nodelist"), "{text}: {}", told.advice);
        assert_eq!(told.outlook, Outlook::Waits, "{text}");
    }
}

#[test]
fn other_nodes_are_advised_only_where_some_are_named() {
    let advice = |evidence: &Evidence| why(&waiting("ReqNodeNotAvail, UnavailableNodes:c2"), evidence).advice;
    let named = Asked { nodelist: Some("c2".into()), ..Asked::default() };
    let named = Evidence { asked: named, ..Evidence::default() };
    assert_says(&advice(&named), &["start it again without that --nodelist"]);
    let free = advice(&Evidence::default());
    assert!(!free.contains("--nodelist") && free.contains("sinfo -R"), "{free}");
    let mut service = waiting("NodeDown");
    std::sync::Arc::make_mut(&mut service.spec).resources.nodelist = Some("c2".into());
    assert_says(&why(&service, &Evidence::default()).advice, &["without that --nodelist"]);
}

fn limit(of: &str, name: &str, value: &str) -> Limit {
    Limit { of: of.into(), name: name.into(), value: value.into() }
}

#[test]
fn a_limit_is_told_with_its_value_and_with_what_is_asked() {
    let [partition, time, nodes] = ["short", "5:00", "9"].map(|text| Some(text.to_owned()));
    let asked = Asked { partition, time, nodes, ..Asked::default() };
    let limits = vec![
        limit("partition short", "MaxNodes", "UNLIMITED"),
        limit("partition short", "MaxTime", "00:02:00"),
        limit("partition short", "TotalNodes", "3"),
        limit("quality of service normal", "MaxTRES", "cpu=4"),
    ];
    let evidence = Evidence { asked, limits, ..Evidence::default() };
    let told = why(&waiting("PartitionTimeLimit"), &evidence);
    assert_says(
        &told.sentence,
        &["will never start as it is", "it asks for 5:00, partition short allows 00:02:00"],
    );
    assert_eq!(on(&told, Topic::Limit), Some("MaxTime 00:02:00 of partition short"));
    assert_eq!(on(&told, Topic::Asked), Some("time limit 5:00"));
    assert_says(&told.advice, &["--time", "--partition"]);
    let told = why(&waiting("PartitionNodeLimit"), &evidence);
    assert_eq!(on(&told, Topic::Limit), Some("TotalNodes 3 of partition short"));
    assert_says(
        &told.sentence,
        &[
            "will never start as it is: it asks for more nodes than",
            "it asks for 9, partition short allows 3",
        ],
    );
    let told = why(&waiting("QOSMaxCpuPerJobLimit"), &evidence);
    assert_says(&told.sentence, &["quality of service normal allows cpu=4"]);
    assert_says(&told.advice, &["--cpus", "--qos"]);
}

#[test]
fn a_job_that_waits_has_a_place_and_perhaps_a_start() {
    let evidence = Evidence {
        reason: Some("Priority".into()),
        position: Some(Position { ahead: 2, waiting: 7 }),
        starts_at: Some(NOW.plus(std::time::Duration::from_secs(600))),
        asked: Asked { partition: Some("gpu".into()), ..Asked::default() },
        ..Evidence::default()
    };
    let told = why(&waiting("Resources"), &evidence);
    assert_eq!(on(&told, Topic::Reason), Some("Priority"), "the newer word counts");
    assert_eq!(on(&told, Topic::Queue), Some("number 3 of 7 that wait in gpu"));
    assert_says(on(&told, Topic::Start).unwrap(), &["in 10 min, at 1970-01-12"]);
    assert_says(
        &told.sentence,
        &["jobs of a higher priority wait before it", "its start is expected in 10 min"],
    );
    let past = Evidence { starts_at: Some(ago(1)), ..evidence.clone() };
    assert_eq!(on(&why(&waiting("Priority"), &past), Topic::Start), None);
    let of = |reason: &str| Evidence { reason: Some(reason.into()), ..evidence.clone() };
    let told = why(&waiting("Priority"), &of("JobHeldUser"));
    assert_says(&told.advice, &["scontrol release 7"]);
    for still in ["JobHeldUser", "JobHeldAdmin", "job requeued in held state", "BadConstraints"] {
        let told = why(&waiting("Priority"), &of(still));
        assert_eq!((on(&told, Topic::Queue), on(&told, Topic::Start)), (None, None), "{still} does not move");
        assert!(!told.sentence.contains("expected"), "{}", told.sentence);
    }
    for blocked in ["PartitionDown", "ReqNodeNotAvail", "AssocGrpCPUMinutesLimit"] {
        let told = why(&waiting("Priority"), &of(blocked));
        assert_eq!(
            (told.outlook, on(&told, Topic::Queue)),
            (Outlook::Blocked, Some("number 3 of 7 that wait in gpu"))
        );
        assert_says(&told.sentence, &["its start is expected in 10 min"]);
    }
}
