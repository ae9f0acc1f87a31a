//! `towline schema`

use crate::exit::Outcome;
use crate::recipes::Shelf;
use crate::render::Terminal;
use crate::service_file;

/// Print the JSON Schema of the files that `run -f` takes
///
/// With the recipes that there are here, and their parameters. Editors check and
/// complete a file by it; in many of them its first line says where the schema is:
///
///   #:schema ./towline.schema.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SchemaArgs {}

/// Prints it. A recipe that is wrong is left out, with a warning.
pub(super) fn schema(terminal: Terminal, _: &SchemaArgs) -> Outcome<()> {
    let mut found = Shelf::of_process()?.all()?;
    // Of each name the first is the one that is meant.
    found.dedup_by(|hidden, meant| hidden.name == meant.name);
    let mut recipes = Vec::new();
    for found in &found {
        match found.recipe() {
            Ok(recipe) => recipes.push(recipe.clone()),
            Err(failure) => terminal.warn(&format!("left out: {}", failure.error)),
        }
    }
    Ok(terminal.json(&service_file::schema(&recipes))?)
}
