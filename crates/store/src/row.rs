//! Services and events as rows, and back.

use sea_orm::{DbErr, FromQueryResult, QueryResult};
use towline_core::lifecycle::{Life, Status};
use towline_core::ports::{BoxError, DamagedRow};
use towline_core::service::{Event, Service};
use towline_core::spec::ServiceSpec;
use towline_core::time::Timestamp;

use crate::entity::{event, service};

/// The columns that a save writes.
pub(crate) struct LifeColumns {
    pub(crate) status: String,
    pub(crate) ended: bool,
    pub(crate) unfinished: bool,
    pub(crate) life: String,
}

impl LifeColumns {
    pub(crate) fn of(life: &Life) -> Result<Self, serde_json::Error> {
        Ok(Self {
            status: life.status().to_string(),
            ended: life.status().is_terminal(),
            unfinished: life.is_unfinished(),
            life: serde_json::to_string(life)?,
        })
    }
}

/// The row of a new service.
pub(crate) fn from_service(service: &Service) -> Result<service::Model, BoxError> {
    let LifeColumns { status, ended, unfinished, life } = LifeColumns::of(&service.life)?;
    Ok(service::Model {
        id: service.id.to_string(),
        name: service.spec.name.to_string(),
        profile: printable(&service.spec.profile),
        status,
        ended,
        unfinished,
        created_at: service.created_at.as_micros(),
        generation: i64::try_from(service.generation)?,
        spec: serde_json::to_string(&*service.spec)?,
        life,
    })
}

/// What a row's columns tell otherwise than the life and the spec that stand in it, if anything: services are selected
/// by these columns.
pub(crate) fn mismatch(row: &QueryResult, service: &Service) -> Option<String> {
    let model = service::Model::from_query_result(row, "").ok()?;
    let LifeColumns { status, ended, unfinished, .. } = LifeColumns::of(&service.life).ok()?;
    let profile = printable(&service.spec.profile);
    let columns = [
        ("name", model.name, service.spec.name.to_string()),
        ("profile", model.profile, profile),
        ("status", model.status, status),
        ("ended", model.ended.to_string(), ended.to_string()),
        ("unfinished", model.unfinished.to_string(), unfinished.to_string()),
    ];
    columns.into_iter().find(|(_, told, meant)| told != meant).map(|(column, told, meant)| {
        format!("column {column} says {told:?} where its record means {meant:?}")
    })
}

/// What is read of a row into a service, and the name, by which people know one that cannot be read. Each further column
/// costs as much: it is copied from one thread to another.
pub(crate) const COLUMNS: [service::Column; 6] = [
    service::Column::Id,
    service::Column::Name,
    service::Column::CreatedAt,
    service::Column::Generation,
    service::Column::Spec,
    service::Column::Life,
];

/// What is read of a row.
#[derive(FromQueryResult)]
struct Record {
    id: String,
    created_at: i64,
    generation: i64,
    spec: String,
    life: String,
}

/// Reads one row. Each is read by itself, so that a damaged one harms no other.
pub(crate) fn to_service(row: &QueryResult) -> Result<Service, DamagedRow> {
    let read = || -> Result<Service, BoxError> {
        let model = Record::from_query_result(row, "").map_err(column_problem)?;
        Ok(Service {
            id: model.id.parse().map_err(|error| format!("bad id: {error}"))?,
            spec: serde_json::from_str::<ServiceSpec>(&model.spec)
                .map_err(|error| format!("bad spec: {error}"))?
                .into(),
            created_at: Timestamp::from_micros(model.created_at),
            life: serde_json::from_str(&model.life).map_err(|error| format!("bad life: {error}"))?,
            generation: u64::try_from(model.generation).map_err(|_| "bad generation: it is negative")?,
        })
    };
    read().map_err(|problem| DamagedRow {
        id: row.try_get("", "id").unwrap_or_default(),
        name: row.try_get("", "name").unwrap_or_default(),
        problem: problem.to_string(),
    })
}

/// The row of an event that comes with the given generation of its service.
pub(crate) fn from_event(service_id: String, generation: i64, event: &Event) -> event::Model {
    event::Model {
        service_id,
        generation,
        at: event.at.as_micros(),
        from_status: event.from.map(|status| status.to_string()),
        to_status: event.to.to_string(),
        why: printable(&event.why),
    }
}

/// Reads one row of history.
pub(crate) fn to_event(row: &QueryResult) -> Result<Event, BoxError> {
    let model = event::Model::from_query_result(row, "").map_err(column_problem)?;
    let from = model.from_status.as_deref().map(str::parse::<Status>).transpose();
    let read = || -> Result<Event, BoxError> {
        Ok(Event {
            at: Timestamp::from_micros(model.at),
            from: from?,
            to: model.to_status.parse()?,
            why: model.why.clone(),
        })
    };
    read().map_err(|problem| format!("bad event {}: {problem}", model.generation).into())
}

/// PostgreSQL keeps no NUL in a text; JSON writes it as `\u0000`, plain columns do without it.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn column_problem(error: DbErr) -> BoxError {
    format!("bad column: {error}").into()
}
