use std::time::Duration;

use serde_json::{Value, json};
use towline_core::lifecycle::{Doubt, Tunnel, TunnelRecord};

use super::*;
use crate::testing::{ended, healthy, id, service};

fn reached(mut service: Service) -> Service {
    let place = Place { host: "c1".into(), port: 8000, pid: 7, listening: true, loopback: false };
    let tunnel = Tunnel { host: "127.0.0.1".into(), port: 40001, place, handle: None };
    service.life.tunnel = Some(TunnelRecord { tunnel, checked_at: Timestamp::from_secs(3) });
    service.life.local_port = Some(40001);
    service.life.observed_at = Some(Timestamp::from_secs(5));
    service
}

fn view(service: &Service) -> Value {
    serde_json::to_value(ServiceView::from(service)).unwrap()
}

#[test]
fn json_has_the_promised_fields_and_no_secrets() {
    let json = view(&reached(healthy(service(7, "web"))));
    let promised = json!({
        "id": id(7).to_string(),
        "name": "web",
        "status": "HEALTHY",
        "cause": null,
        "profile": "lab",
        "job_id": "4711",
        "node": "c1",
        "url": "http://127.0.0.1:40001",
        "created_at": "1970-01-01T00:00:00Z",
        "observed_at": "1970-01-01T00:00:05Z",
        "local_port": 40001,
        "health": "/health",
        "env": ["TOKEN"],
    });
    for (key, value) in promised.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
    assert!(!json.to_string().contains("hush"));
}

#[test]
fn an_ended_service_tells_its_cause() {
    let json = view(&ended(service(7, "web")));
    assert_eq!(json["status"], "STOPPED");
    assert_eq!(json["cause"], "stopped on request");
    assert_eq!(json["ended_at"], "1970-01-01T00:00:10Z");
    assert_eq!(json["url"], Value::Null);
}

#[test]
fn details_of_an_ended_service_say_what_its_end_means() {
    let meaning = |service: &Service| {
        let text = details(service, &[], Timestamp::from_secs(60));
        text.lines().find_map(|line| line.strip_prefix("meaning").map(|rest| rest.trim().to_owned()))
    };
    let told = meaning(&ended(healthy(service(7, "web"))));
    assert!(told.is_some_and(|told| told.starts_with("Somebody asked for the end")));
    assert_eq!(meaning(&healthy(service(7, "web"))), None);
}

#[test]
fn a_damaged_row_stands_beside_the_others() {
    let services = [service(1, "a")];
    let damaged = [DamagedRow { id: "?x".into(), name: "b".into(), problem: "no phase".into() }];
    let json = serde_json::to_value(Row::all(&services, &damaged)).unwrap();
    assert_eq!(json[0]["name"], "a");
    assert_eq!(json[1], json!({"id": "?x", "name": "b", "status": null, "problem": "no phase"}));
    let text = listing(&services, &damaged, Timestamp::from_secs(60), true).lay_out(None, false);
    assert!(text.contains("no phase"), "{text}");
}

#[test]
fn the_next_try_is_told_as_long_as_it_is_to_come() {
    let mut doubtful = reached(healthy(service(1, "web")));
    let since = Timestamp::from_secs(6);
    let doubt = Doubt { since, last: Timestamp::from_secs(100), count: 7, why: "no route to login".into() };
    let next = format!("next try    {} at the earliest\n", moment(doubt.retry_at()));
    doubtful.life.doubt = Some(doubt);
    let text = |secs| details(&doubtful, &[], Timestamp::from_secs(secs));
    assert!(text(101).contains(&next), "{}", text(101));
    assert!(!text(161).contains("next try") && text(161).contains("no route to login"), "{}", text(161));
}

#[test]
fn the_table_says_how_old_doubtful_knowledge_is() {
    let mut doubtful = reached(healthy(service(1, "web")));
    doubtful.life.doubt = Some(Doubt {
        since: Timestamp::from_secs(6),
        last: Timestamp::from_secs(9),
        count: 2,
        why: "no route to login".into(),
    });
    let text = listing(&[doubtful], &[], Timestamp::from_secs(125), false).lay_out(None, false);
    let row = text.lines().nth(1).unwrap();
    assert!(row.contains("HEALTHY") && row.contains("last known 2m ago: the server answers"), "{row}");
    assert!(row.contains("http://127.0.0.1:40001"), "{row}");
}

#[test]
fn the_table_tells_an_age_once_it_is_above_the_interval() {
    let now = Timestamp::from_secs(5).plus(Duration::from_secs(2));
    let later = now.plus(Duration::from_millis(1));
    let table = |service: &Service, now| listing(std::slice::from_ref(service), &[], now, false);
    let told =
        |service: &Service, now| table(service, now).lay_out(None, false).contains("last known 2s ago: ");
    let web = reached(healthy(service(1, "web")));
    assert!(!told(&web, now), "what is known for two seconds is not asked for again");
    assert!(told(&web, later));
    assert!(!told(&reached(ended(service(1, "web"))), later), "an end does not grow old");
    assert!(!told(&service(1, "web"), later), "nothing was known yet");
}

#[test]
fn a_narrow_terminal_shows_the_age_rather_than_the_url() {
    let services = [reached(healthy(service(1, "web"))), service(2, "db")];
    let lines = |secs: i64, width| {
        let text = listing(&services, &[], Timestamp::from_secs(secs), true).lay_out(Some(width), false);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for width in [40, 50, 60, 70, 80, 100, 120] {
        let old = lines(245, width);
        assert!(old[1].contains("HEALTHY") && old[1].contains("last known 4m ago:"), "{width}: {old:#?}");
        assert!(old.iter().all(|line| line.chars().count() <= usize::from(width)), "{width}: {old:#?}");
        assert_eq!(old[1].contains("http://127.0.0.1:40001"), width >= 70, "{width}: {old:#?}");
    }
    let fresh = lines(6, 50);
    assert!(fresh[1].contains("http://127.0.0.1:40001") && !fresh[1].contains("last known"), "{fresh:#?}");
}

#[test]
fn short_ids_are_unique_beginnings() {
    let services = [service(0x0123 << 80, "a"), service(0x0124 << 80, "b"), service(1 << 120, "c")];
    let short = short_ids(&services);
    let texts: Vec<&String> = short.values().collect();
    for (service, text) in services.iter().map(|service| (service, &short[&service.id])) {
        assert!(service.id.to_string().starts_with(text.as_str()) && text.len() >= 8);
        assert_eq!(texts.iter().filter(|other| other.starts_with(text.as_str())).count(), 1, "{texts:?}");
    }
    assert_eq!(short[&services[2].id].len(), 8);
}

#[test]
fn details_hide_the_values_of_the_environment() {
    let text = details(&reached(healthy(service(7, "web"))), &[], Timestamp::from_secs(60));
    assert!(text.contains("serve --port '{port}' 'a b'"), "{text}");
    assert!(text.contains("TOKEN (values hidden)") && !text.contains("hush"), "{text}");
}
