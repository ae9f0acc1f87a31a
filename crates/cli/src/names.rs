//! Names of services: which one a word means, and a friendly one for a service that got none.

use std::cmp::Reverse;

use towline_core::service::Service;
use towline_core::spec::{NAME_MAX, ServiceName};

use crate::exit::{Failure, Kind, Outcome};

pub(crate) use towline_recipes::nearest;

/// How many services an ambiguous beginning lists.
const CANDIDATES: usize = 10;

/// Finds the service that a word means: by name (one that lives before those that ended, the newest of these), by
/// UUID, or by a beginning of a UUID that only one service has.
///
/// # Errors
/// [`Kind::NotFound`] with the nearest names if there is none; [`Kind::Usage`] with the candidates if a beginning is
/// not unique.
pub(crate) fn resolve<'a>(word: &str, services: &'a [Service]) -> Outcome<&'a Service> {
    // In an old record a name may be the UUID of another service: whoever writes a whole UUID means it.
    if let Some(found) = services.iter().find(|service| service.id.to_string() == word) {
        return Ok(found);
    }
    let named = services.iter().filter(|service| service.spec.name.as_str() == word);
    if let Some(found) = named.min_by_key(|s| (s.status().is_terminal(), Reverse(s.created_at))) {
        return Ok(found);
    }
    let beginning: String = word.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    let is_beginning = |service: &&Service| service.id.uuid().as_simple().to_string().starts_with(&beginning);
    let matching: Vec<&Service> = match beginning.is_empty() {
        true => Vec::new(),
        false => services.iter().filter(is_beginning).collect(),
    };
    match matching.as_slice() {
        [found] => Ok(found),
        [] => Err(unknown(word, services)),
        several => Err(ambiguous(word, several)),
    }
}

fn unknown(word: &str, services: &[Service]) -> Failure {
    let failure = Failure::new(Kind::NotFound, format!("there is no service {}", shown(word)));
    match nearest(word, services.iter().map(|service| service.spec.name.as_str())) {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure.hint("`towline ls --all` lists all services"),
    }
}

fn ambiguous(word: &str, several: &[&Service]) -> Failure {
    let mut lines: Vec<String> = several
        .iter()
        .take(CANDIDATES)
        .map(|service| format!("{}  {} ({})", service.id, service.spec.name, service.status()))
        .collect();
    if several.len() > CANDIDATES {
        lines.push(format!("and {} more", several.len() - CANDIDATES));
    }
    Failure::new(Kind::Usage, format!("{} services have a UUID that begins with {word}", several.len()))
        .excerpt("they are", lines.join("\n"))
        .hint("type more of the UUID, or the name")
}

/// A word of the user's for an error message, short and quoted if it is odd.
pub(crate) fn shown(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic());
    match (plain, word.chars().count() > NAME_MAX) {
        (true, false) => word.to_owned(),
        (_, false) => format!("{word:?}"),
        (_, true) => format!("{:?}...", word.chars().take(NAME_MAX).collect::<String>()),
    }
}

/// Names for a service that runs `program`, best first: `python3`, `python3-2`, `python3-3` and so on, without those
/// that are `taken`.
pub(crate) fn friendly<'a>(
    program: &str,
    taken: &'a dyn Fn(&str) -> bool,
) -> impl Iterator<Item = ServiceName> + use<'a> {
    let base = base(program);
    (1u32..)
        .map(move |count| match count {
            1 => base.clone(),
            _ => format!("{base}-{count}"),
        })
        .filter(|name| !taken(name))
        .filter_map(|name| name.parse().ok())
}

/// What of a program's name can be a service's name, with room for a number behind it.
fn base(program: &str) -> String {
    let file = program.rsplit('/').next().unwrap_or(program);
    let mut base = String::new();
    for c in file.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => base.push(c),
            _ if !base.is_empty() && !base.ends_with('-') => base.push('-'),
            _ => {}
        }
    }
    base.truncate(NAME_MAX - 11);
    let base = base.trim_end_matches('-');
    if base.is_empty() { "service".to_owned() } else { base.to_owned() }
}

#[cfg(test)]
mod tests {
    use towline_core::time::Timestamp;

    use super::*;
    use crate::testing::{ended, id, service};

    fn at(mut service: Service, secs: i64) -> Service {
        service.created_at = Timestamp::from_secs(secs);
        service
    }

    #[test]
    fn a_living_service_wins_over_newer_ended_ones() {
        let all = [ended(service(1, "web")), service(2, "web"), at(ended(service(3, "web")), 9)];
        assert_eq!(resolve("web", &all).unwrap().id, id(2));
        let all =
            [at(ended(service(1, "web")), 1), at(ended(service(2, "web")), 5), ended(service(3, "other"))];
        assert_eq!(resolve("web", &all).unwrap().id, id(2));
    }

    #[test]
    fn a_uuid_or_its_beginning_will_do() {
        let all = [service(0x1111, "a"), service(0x2222, "b")];
        assert_eq!(resolve(&id(0x1111).to_string(), &all).unwrap().id, id(0x1111));
        assert_eq!(resolve(&id(0x2222).to_string().to_uppercase(), &all).unwrap().id, id(0x2222));
        let unique: String = id(0x2222).uuid().as_simple().to_string().chars().take(29).collect();
        assert_eq!(resolve(&unique, &all).unwrap().id, id(0x2222));
    }

    #[test]
    fn a_whole_uuid_wins_over_a_name_like_it() {
        let mut old = service(1, "old");
        std::sync::Arc::make_mut(&mut old.spec).name =
            serde_json::from_value(id(2).to_string().into()).unwrap();
        let all = [old, service(2, "web")];
        assert_eq!(resolve(&id(2).to_string(), &all).unwrap().id, id(2));
    }

    #[test]
    fn an_ambiguous_beginning_lists_the_candidates() {
        let all = [service(1, "a"), service(2, "b")];
        let failure = resolve("0000", &all).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        let (_, lines) = failure.excerpt.unwrap();
        assert!(lines.contains(&id(1).to_string()) && lines.contains(&id(2).to_string()));
    }

    #[test]
    fn an_unknown_name_suggests_a_near_one() {
        let all = [service(1, "llama-3"), service(2, "web")];
        let failure = resolve("lama-3", &all).unwrap_err();
        assert_eq!(failure.kind, Kind::NotFound);
        assert_eq!(failure.hints, ["did you mean llama-3?"]);
        assert!(resolve("zzz", &all).unwrap_err().hints[0].contains("ls --all"));
        assert!(resolve("", &all).is_err());
        assert!(resolve("-", &all).is_err());
    }

    #[test]
    fn programs_give_friendly_names() {
        let first = |program: &str, taken: &[&str]| {
            let is_taken = |name: &str| taken.contains(&name);
            friendly(program, &is_taken).next().unwrap().to_string()
        };
        assert_eq!(first("/usr/bin/python3.11", &[]), "python3-11");
        assert_eq!(first("python3", &["python3", "python3-2"]), "python3-3");
        assert_eq!(first("./My Server!", &[]), "my-server");
        assert_eq!(first("ä", &[]), "service");
        assert!(first(&"x".repeat(300), &[]).len() <= NAME_MAX);
    }
}
