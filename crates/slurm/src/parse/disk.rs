//! Reads what `df`, `quota` and `lfs quota` print of the file system on which Towline's files lie.

use serde::Serialize;

/// How much room there is where Towline's files lie. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// The file system's name, such as a device or `server:/path`.
    pub file_system: Option<String>,
    /// Free bytes of the file system, for users.
    pub free_bytes: Option<u64>,
    /// Free inodes of the file system: how many more files there may be. File systems without such a limit tell none.
    pub free_inodes: Option<u64>,
    /// The user's quota of bytes.
    pub bytes: Option<Quota>,
    /// The user's quota of files.
    pub files: Option<Quota>,
}

/// How much a user has, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// In bytes, or files.
    pub used: u64,
    /// The least of the limits, in bytes or files.
    pub limit: u64,
}

/// A line of `df -P`: the name of the file system, what is free of how much, and where it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Df<'a> {
    pub(crate) name: &'a str,
    pub(crate) all: u64,
    pub(crate) free: u64,
    pub(crate) mounted_on: &'a str,
}

/// Reads a line such as `server:/home 3145728 224144 2921584 8% /home`. Names may hold blanks.
pub(crate) fn df(line: &str) -> Option<Df<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_share =
        |word: &str| word == "-" || word.strip_suffix('%').is_some_and(|share| share.parse::<u8>().is_ok());
    let at = (4..words.len())
        .find(|at| is_share(words[*at]) && words[at - 3..*at].iter().all(|it| is_count(it)))?;
    let (all, free) = (words[at - 3].parse().ok()?, words[at - 1].parse().ok()?);
    // A word of the line and what is left of it there.
    let start = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    let (name, mounted_on) = (&line[..start(words[at - 3])], &line[start(words[at]) + words[at].len()..]);
    Some(Df { name: name.trim(), all, free, mounted_on: mounted_on.trim() })
}

fn is_count(word: &str) -> bool {
    word.parse::<u64>().is_ok()
}

/// Reads the quotas of all file systems, as `quota -w` and `lfs quota -q` print them: a name, three numbers about blocks
/// of 1024 bytes, how long they may be exceeded if they are, and the same about files (quota(1), lfs-quota(1)). Lines may
/// be broken behind the name. The name, and the quotas that are limited.
pub(crate) fn quotas(text: &str) -> Vec<(&str, Option<Quota>, Option<Quota>)> {
    let is_heading =
        |line: &&str| line.contains("Disk quotas for") || line.trim_start().starts_with("Filesystem");
    let mut words = text.lines().filter(|line| !is_heading(line)).flat_map(str::split_whitespace).peekable();
    let mut found = Vec::new();
    while let Some(name) = words.next() {
        let mut three = || {
            let mut number = || words.next_if(|word| number(word).is_some()).and_then(number);
            let read = (number()?, number()?, number()?);
            words.next_if(|word| is_grace(word));
            Some(read)
        };
        let (Some(blocks), Some(files)) = (three(), three()) else { continue };
        let limited = |(used, soft, hard): (u64, u64, u64), unit: u64| {
            let limit = [soft, hard].into_iter().filter(|limit| *limit > 0).min()?;
            Some(Quota { used: used.saturating_mul(unit), limit: limit.saturating_mul(unit) })
        };
        found.push((name, limited(blocks, 1024), limited(files, 1)));
    }
    found
}

/// A number, which is marked by an asterisk if a limit is exceeded, and by brackets if a part of Lustre did not answer.
fn number(word: &str) -> Option<u64> {
    word.trim_end_matches('*').trim_matches(['[', ']']).parse().ok()
}

/// Such as `6days`, `23:59`, `6d23h59m59s`, `none`, `-`.
fn is_grace(word: &str) -> bool {
    let is_time = word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains(['/', '.']);
    ["-", "none", "expired"].contains(&word) || (is_time && number(word).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_free_is_read_from_a_line_of_df() {
        let line = "home-alice         3145728 224144   2921584       8% /home/alice";
        let expected = Df { name: "home-alice", all: 3_145_728, free: 2_921_584, mounted_on: "/home/alice" };
        assert_eq!(df(line), Some(expected));
        let odd = df("//server/my home 10 4 6 40% /mnt/my home").unwrap();
        assert_eq!((odd.name, odd.free, odd.mounted_on), ("//server/my home", 6, "/mnt/my home"));
        assert_eq!(df("tmpfs 0 0 0 - /x").unwrap().all, 0);
        let heading = "Filesystem     1024-blocks   Used Available Capacity Mounted on";
        for none in ["", heading, "a 1 2 3 /x", "1 2 3 4% /x", "df: /x: Stale file handle"] {
            assert_eq!(df(none), None, "{none}");
        }
    }

    #[test]
    fn quotas_are_read_with_and_without_a_grace() {
        let text = "Disk quotas for user alice (uid 2001):\n     \
                    Filesystem  blocks   quota   limit   grace   files   quota   limit   grace\n\
                    nfs:/home  10485760* 9000000 10485760   6days   12345       0       0        \n\
                    10.0.0.1:/scratch     100       0       0               7       8       9        \n";
        let found = quotas(text);
        assert_eq!(found.len(), 2, "{found:?}");
        let home = Quota { used: 10_485_760 << 10, limit: 9_000_000 << 10 };
        assert_eq!(found[0], ("nfs:/home", Some(home), None));
        assert_eq!(found[1], ("10.0.0.1:/scratch", None, Some(Quota { used: 7, limit: 8 })));
    }

    #[test]
    fn quotas_of_lustre_are_read_when_their_line_is_broken() {
        let text = "/mnt/a/very/long/name/of/lustre\n       [123]*    100     200 6d23h59m59s      1       0       0       -\n";
        let quota = Quota { used: 123 << 10, limit: 100 << 10 };
        assert_eq!(quotas(text), [("/mnt/a/very/long/name/of/lustre", Some(quota), None)]);
        let two = "/a 1 0 2 - 3 0 4 -\n/b 5 6 0 none 0 0 0 expired\n";
        let found: Vec<_> =
            quotas(two).into_iter().map(|(name, bytes, _)| (name, bytes.map(|it| it.limit))).collect();
        assert_eq!(found, [("/a", Some(2 << 10)), ("/b", Some(6 << 10))]);
    }

    #[test]
    fn no_quota_is_none() {
        for text in
            ["", "Disk quotas for user alice (uid 2001): none\n", "quota: cannot open /x: denied", "x 1 2"]
        {
            assert_eq!(quotas(text), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(é|[a-z/]{1,3}|[0-9]{1,20}\\*?|-|%|[0-9]{1,3}%|\n| ){0,60}") {
            drop(quotas(&text));
            let free: Vec<_> = text.lines().filter_map(df).map(|df| df.free).collect();
            prop_assert!(free.len() <= text.lines().count());
        }
    }
}
