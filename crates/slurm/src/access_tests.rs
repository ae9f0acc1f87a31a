use super::*;

fn association(account: &str, is_default: bool) -> Association {
    Association { account: account.into(), is_default, qos: vec!["normal".into()], ..Association::default() }
}

fn partition(name: &str) -> Partition {
    Partition { name: name.into(), state: "UP".into(), ..Partition::default() }
}

fn cluster() -> ClusterProbe {
    let short = Partition { max_time: Some("00:02:00".into()), ..partition("short") };
    let staff = Partition { groups: Gate::Only(vec!["staff".into()]), ..partition("staff") };
    let theirs = Partition { accounts: Gate::Only(vec!["bobonly".into()]), ..partition("theirs") };
    ClusterProbe {
        user: "alice".into(),
        groups: vec!["alice".into(), "lab".into()],
        partitions: vec![Partition { is_default: true, ..partition("cpu") }, short, staff, theirs],
        associations: Some(vec![association("research", true), association("teaching", false)]),
        ..ClusterProbe::default()
    }
}

fn objections(choice: Choice<'_>) -> Vec<String> {
    cluster().objections(&choice).iter().map(ToString::to_string).collect()
}

fn choose(partition: &'static str) -> Choice<'static> {
    Choice { partition: Some(partition), ..Choice::default() }
}

#[test]
fn nothing_speaks_against_what_a_user_may_use() {
    for partition in ["cpu", "short", "cpu,short", "staff,cpu"] {
        let choice =
            Choice { account: Some("Research"), qos: Some("normal"), time: Some("2"), ..choose(partition) };
        assert_eq!(objections(choice), [""; 0], "{partition}");
    }
    assert_eq!(objections(Choice::default()), [""; 0]);
}

#[test]
fn closed_partitions_say_whom_they_let_in() {
    assert_eq!(
        objections(choose("staff")),
        ["partition staff is closed to you: it lets in group staff only"]
    );
    assert_eq!(
        objections(choose("theirs")),
        ["partition theirs is closed to you: it lets in account bobonly only"]
    );
    assert_eq!(objections(choose("cpu,gpuu")), ["there is no partition gpuu"]);
    let mut cluster = cluster();
    let closed = |cluster: &ClusterProbe| cluster.barrier(&cluster.partitions[0]);
    assert_eq!(closed(&cluster), None);
    cluster.partitions[0].accounts = Gate::Not(vec!["research".into()]);
    assert_eq!(closed(&cluster), None, "the other account is let in");
    cluster.partitions[0].accounts = Gate::Not(vec!["research".into(), "teaching".into()]);
    assert_eq!(closed(&cluster).unwrap().to_string(), "it refuses accounts research, teaching");
    cluster.partitions[0].state = "DRAIN".into();
    assert_eq!(closed(&cluster).unwrap().to_string(), "it takes no jobs now (DRAIN)");
    cluster.partitions[0].root_only = true;
    assert_eq!(closed(&cluster), Some(Barrier::Root));
}

#[test]
fn the_chosen_account_alone_opens_a_partition() {
    let mut cluster = cluster();
    cluster.partitions[0].accounts = Gate::Only(vec!["research".into()]);
    let choice = |account| Choice { account: Some(account), ..Choice::default() };
    assert_eq!(cluster.objections(&choice("research")), []);
    let [Objection::Closed { .. }] = cluster.objections(&choice("teaching"))[..] else { panic!() };
    cluster.associations =
        Some(vec![Association { partition: Some("gpu".into()), ..association("research", true) }]);
    assert_eq!(
        cluster.barrier(&cluster.partitions[0]),
        None,
        "no account counts there: not this one's fault"
    );
}

#[test]
fn a_partition_may_want_a_quality_of_service() {
    let mut cluster = cluster();
    cluster.partitions[0].qos = Gate::Only(vec!["long".into(), "huge".into()]);
    let why = cluster.barrier(&cluster.partitions[0]).unwrap();
    assert_eq!(why.to_string(), "it takes qualities of service long, huge only");
    cluster.associations.as_mut().unwrap()[0].qos.push("long".into());
    assert_eq!(cluster.barrier(&cluster.partitions[0]), None);
    let choice = Choice { qos: Some("normal"), ..Choice::default() };
    let [Objection::Closed { .. }] = cluster.objections(&choice)[..] else { panic!() };
    cluster.partitions[0].qos = Gate::Not(vec!["normal".into()]);
    assert_eq!(cluster.objections(&choice).len(), 1);
    assert_eq!(cluster.objections(&Choice { qos: Some("long"), ..Choice::default() }), []);
    cluster.associations.as_mut().unwrap().iter_mut().for_each(|it| it.qos.clear());
    assert_eq!(cluster.barrier(&cluster.partitions[0]), None, "what is not known is no barrier");
}

#[test]
fn a_time_limit_over_the_partition_s_is_told_beforehand() {
    let asked = |time| objections(Choice { time: Some(time), ..choose("short") });
    assert_eq!(asked("2:00"), [""; 0]);
    let told = "a time limit of 5 is longer than partition short allows (00:02:00)";
    assert_eq!(asked("5"), [told]);
    assert_eq!(asked("infinite").len(), 1);
    assert_eq!(asked("soon"), ["\"soon\" is no time limit"]);
    assert_eq!(objections(Choice { time: Some("5"), ..choose("short,cpu") }), [""; 0]);
}

#[test]
fn accounts_and_qualities_of_service_are_the_users_own() {
    let account = |account, qos| objections(Choice { account, qos, ..Choice::default() });
    assert_eq!(account(Some("bobonly"), None), ["you may not charge jobs to account bobonly"]);
    assert_eq!(account(None, Some("hihg")), ["account research has no quality of service hihg"]);
    let with = |associations| ClusterProbe { associations, ..cluster() }.objections(&Choice::default());
    assert_eq!(with(Some(Vec::new())), [Objection::NoAccount]);
    assert_eq!(with(Some(vec![association("x", false)])), [Objection::NoDefaultAccount]);
    assert_eq!(with(None), [], "what is not known speaks against nothing");
}

#[test]
fn without_a_default_partition_one_must_be_named() {
    let mut cluster = cluster();
    cluster.partitions[0].is_default = false;
    assert_eq!(cluster.objections(&Choice::default()), [Objection::NoDefaultPartition]);
    cluster.partitions.clear();
    assert_eq!(cluster.objections(&choose("x")), [], "none is known");
}
