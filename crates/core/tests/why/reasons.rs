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
    let others = [
        "PartitionTimeLimit",
        "PartitionNodeLimit",
        "BadConstraints",
        "DependencyNeverSatisfied",
        "InvalidQOS",
    ];
    assert!(others.iter().all(|word| never.contains(word)));
    for word in
        ["Resources", "Priority", "BeginTime", "Dependency", "AssocMaxJobsLimit", "QOSMaxCpuPerUserLimit"]
    {
        assert_eq!(outlook(word), Outlook::Waits, "{word}");
    }
    for word in ["JobHeldUser", "JobHeldAdmin", "PartitionDown", "AssocGrpCPUMinutesLimit"] {
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
    for text in ["ReqNodeNotAvail, UnavailableNodes:c2", "ReqNodeNotAvail(Unavailable:c2)"] {
        let told = why(&waiting(text), &Evidence::default());
        assert_says(&told.sentence, &["a node that it requires"]);
        assert_eq!(on(&told, Topic::Reason), Some(text));
    }
    let phrase =
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions";
    assert_says(&why(&waiting(phrase), &Evidence::default()).sentence, &["nodes that it needs are down"]);
}

fn limit(of: &str, name: &str, value: &str) -> Limit {
    Limit { of: of.into(), name: name.into(), value: value.into() }
}

#[test]
fn a_limit_is_told_with_its_value_and_with_what_is_asked() {
    let asked = Asked { time: Some("5:00".into()), nodes: Some("9".into()), ..Asked::default() };
    let limits = vec![
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
    let held = Evidence { reason: Some("JobHeldUser".into()), ..evidence };
    let told = why(&waiting("Priority"), &held);
    assert_eq!((on(&told, Topic::Queue), on(&told, Topic::Start)), (None, None), "it does not move");
    assert_says(&told.advice, &["scontrol release 7"]);
}
