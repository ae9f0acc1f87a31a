//! Whether there is a place and room for services' files on a cluster, as checks of `doctor`.

use towline_slurm::{ClusterProbe, Problem, Quota};

use super::cluster_checks::find;
use super::use_checks::Asked;
use crate::doctor::Check;
use crate::render::size;

/// Room below which a home may be full before long: what is left of bytes and of files, and the part of a quota that is
/// used, in hundredths.
const BYTES: u64 = 100 << 20;
const FILES: u64 = 1000;
const USED: u64 = 95;

/// Whether a service's files can be written.
pub(super) fn home(probe: &ClusterProbe, asked: &Asked<'_>) -> Check {
    const NAME: &str = "home";
    let Some(problem) = find(probe, |problem| matches!(problem, Problem::Home { .. })).next() else {
        return Check::ok(NAME, format!("{} can be written by {}", probe.home, probe.user));
    };
    let words = problem.to_string();
    let elsewhere = "or name another directory, which the compute nodes see as well, as the profile's home";
    let hint =
        if ["No space left", "quota exceeded", "Quota exceeded"].iter().any(|full| words.contains(full)) {
            let show = asked.there("du -xh --max-depth=1 ~ | sort -h | tail");
            format!("free some space: {show} shows what takes most of it; {elsewhere}")
        } else if words.contains("Permission denied") {
            // Its own `~` is expanded there, and a path of its own is told.
            let path = shlex::try_quote(&probe.home).map(|it| it.into_owned()).unwrap_or_default();
            let fix = asked.there(&format!("ls -ld {path}; chmod u+rwx {path}"));
            format!("{fix} opens it if it is yours, {elsewhere}")
        } else {
            elsewhere.trim_start_matches("or ").to_owned()
        };
    Check::wrong(NAME, words, hint)
}

/// How much room there is for them.
pub(super) fn quota(probe: &ClusterProbe) -> Check {
    const NAME: &str = "quota";
    let room = &probe.room;
    let share =
        |quota: Quota, tell: fn(u64) -> String| format!("{} of {} used", tell(quota.used), tell(quota.limit));
    let mut told: Vec<String> = Vec::new();
    told.extend(room.bytes.map(|quota| format!("quota: {}", share(quota, size))));
    told.extend(
        room.files.map(|quota| format!("quota of files: {}", share(quota, |count| count.to_string()))),
    );
    let no_quota = told.is_empty();
    told.extend(room.free_bytes.map(|bytes| format!("{} free", size(bytes))));
    told.extend(room.free_inodes.map(|files| format!("{files} more files possible")));
    if told.is_empty() {
        let hint = "ask the cluster's documentation how to see your quota";
        return Check::warning(NAME, "how much room there is is not known", hint);
    }
    let on = room.file_system.as_deref().map(|name| format!(" on {name}")).unwrap_or_default();
    let note = if no_quota { "; no quota is told" } else { "" };
    let text = format!("{}{on}{note}", told.join(", "));
    let is_near = |quota: Option<Quota>| quota.is_some_and(|it| it.used >= it.limit / 100 * USED);
    let is_short = room.free_bytes.is_some_and(|bytes| bytes < BYTES)
        || room.free_inodes.is_some_and(|files| files < FILES)
        || is_near(room.bytes)
        || is_near(room.files);
    match is_short {
        true => Check::warning(
            NAME,
            format!("nearly full: {text}"),
            "remove what is not needed: logs and files of services that cannot be written end them",
        ),
        false => Check::ok(NAME, text),
    }
}

#[cfg(test)]
mod tests {
    use towline_core::resources::Resources;
    use towline_slurm::Room;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_full_home_says_how_to_find_what_takes_the_room() {
        let hint = |words: &str| {
            let problems = vec![Problem::Home { home: "/x y".into(), words: words.into() }];
            let resources = Resources::default();
            let asked =
                Asked { profile: "lab", config_file: "/c", login: "ssh login", resources: &resources };
            home(&ClusterProbe { problems, ..ClusterProbe::default() }, &asked).hint.unwrap()
        };
        for full in ["dd: x: No space left on device", "dd: x: Disk quota exceeded"] {
            assert!(hint(full).contains("`ssh login 'du -xh"), "{full}");
        }
        assert!(hint("Read-only file system").starts_with("name another directory"));
    }

    #[test]
    fn little_room_is_a_warning() {
        let roomy = || Room { free_bytes: Some(1 << 40), free_inodes: Some(1 << 20), ..Room::default() };
        let told = |room| quota(&ClusterProbe { room, ..ClusterProbe::default() });
        let quota = |used| Room { bytes: Some(Quota { used, limit: 100 << 30 }), ..roomy() };
        assert_eq!(told(quota(94 << 30)).verdict, Verdict::Ok);
        let near = told(quota(96 << 30));
        assert!(
            near.verdict == Verdict::Warning && near.text.contains("96.0 GiB of 100.0 GiB used"),
            "{near:?}"
        );
        assert_eq!(told(Room { free_inodes: Some(0), ..roomy() }).verdict, Verdict::Warning);
        assert_eq!(told(Room { free_bytes: Some(1 << 20), ..roomy() }).verdict, Verdict::Warning);
        assert_eq!(told(Room::default()).verdict, Verdict::Warning);
    }
}
