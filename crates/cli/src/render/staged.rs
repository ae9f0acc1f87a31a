//! Models and images as people and programs see them.

use serde::Serialize;
use serde_json::Value;
use towline_core::time::Timestamp;
use towline_stage::{Image, Model, Partial, Revision, Staged};

use super::table::Columns;
use super::words::{age, size};

/// How much of a commit is shown.
const COMMIT: usize = 8;

/// The elements of the array that `model ls --json` prints. Fields may be added; none changes its meaning or goes away.
///
/// Each has a `kind`: `cache` for a model in a cache of Hugging Face, with `name`, `hub` (the cache), `path`, `bytes`, `revisions`
/// (objects with `commit`, `refs`, `path`, `files`, `bytes`, `missing`, `whole`, `modified`) and `partial` (`files`, `bytes`; `null` if nothing
/// is half there), and `file` for one by itself, with `path`, `bytes` and `modified`.
pub(crate) fn models_json(staged: &Staged) -> Vec<Value> {
    let models = staged.models.iter().map(|model| of_kind("cache", model));
    models.chain(staged.files.iter().map(|file| of_kind("file", file))).collect()
}

fn of_kind(kind: &str, value: &impl Serialize) -> Value {
    // What is serialized has names for all of its fields, and nothing in it can fail.
    let mut value = serde_json::to_value(value).unwrap_or_default();
    value["kind"] = kind.into();
    value
}

/// Models and their revisions as a table.
pub(crate) fn models_table(staged: &Staged, now: Timestamp) -> Columns {
    let mut table =
        Columns::new(["MODEL", "REVISION", "SIZE", "AGE", "STATE", "WHERE"]).expendable(["AGE", "WHERE"]);
    for model in &staged.models {
        let mut partial = model.partial.map(partial_words);
        for revision in &model.revisions {
            let state: Vec<String> = missing(revision).into_iter().chain(partial.take()).collect();
            let state = if state.is_empty() { "complete".to_owned() } else { state.join(", ") };
            let (size, age) = (size(revision.bytes), age(now.since(revision.modified)));
            table.row([model.name.clone(), revision_words(revision), size, age, state, model.hub.clone()]);
        }
        if model.revisions.is_empty() {
            let state = partial.unwrap_or_else(|| "no revision".to_owned());
            let nothing = String::new;
            table.row([
                model.name.clone(),
                nothing(),
                size(model.bytes),
                nothing(),
                state,
                model.hub.clone(),
            ]);
        }
    }
    for file in &staged.files {
        let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let (size, age) = (size(file.bytes), age(now.since(file.modified)));
        table.row([name.to_owned(), String::new(), size, age, "file".to_owned(), directory.to_owned()]);
    }
    table
}

/// Images as a table.
pub(crate) fn images_table(images: &[Image], now: Timestamp) -> Columns {
    let mut table = Columns::new(["IMAGE", "SOURCE", "SIZE", "AGE", "WHERE"]).expendable(["AGE", "WHERE"]);
    for image in images {
        let directory = image.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        table.row([
            image.name.clone(),
            image.source.clone().unwrap_or_default(),
            size(image.bytes),
            age(now.since(image.modified)),
            directory.to_owned(),
        ]);
    }
    table
}

/// A revision for people: the beginning of its commit, and the names that stand for it.
pub(crate) fn revision_words(revision: &Revision) -> String {
    let commit: String = revision.commit.chars().take(COMMIT).collect();
    match revision.refs.is_empty() {
        true => commit,
        false => format!("{commit} ({})", revision.refs.join(", ")),
    }
}

/// What is there of a model that cannot be used yet.
pub(crate) fn partial_words(partial: Partial) -> String {
    let files = if partial.files == 1 { "one file".to_owned() } else { format!("{} files", partial.files) };
    format!("partial: {} of {files}", size(partial.bytes))
}

fn missing(revision: &Revision) -> Option<String> {
    match (revision.missing, revision.files) {
        (0, 0) => Some("empty".to_owned()),
        (0, _) if revision.whole => None,
        (0, _) => Some("incomplete".to_owned()),
        (missing, files) => Some(format!("{missing} of {files} files missing")),
    }
}

/// What `model add --json` prints. Fields may be added; none changes its meaning or goes away.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AddedModel<'a> {
    name: &'a str,
    /// What was asked for.
    revision: &'a str,
    commit: &'a str,
    /// The directory of the snapshot.
    path: &'a str,
    /// How many files of it were asked for, and their bytes.
    files: usize,
    bytes: u64,
    /// The job that did it; `null` if it was none.
    job: Option<&'a str>,
}

impl<'a> AddedModel<'a> {
    /// Of a model that is there now.
    pub(crate) fn new(
        (model, revision): (&'a Model, &'a Revision),
        asked: &'a str,
        (files, bytes): (usize, u64),
        job: Option<&'a str>,
    ) -> Self {
        Self {
            name: &model.name,
            revision: asked,
            commit: &revision.commit,
            path: &revision.path,
            files,
            bytes,
            job,
        }
    }
}
