//! What an answer to the health path must be.

use towline_core::ready::{HeaderTest, JsonTest, Ready, StatusTest};

use super::document::{Node, Section};

/// What of an answer to the health path counts. Each part is checked by itself, so that its own place is told.
pub(super) fn ready(section: Section<'_>) -> Ready {
    let checked = |node: Node<'_>, ready: Ready| match ready.check() {
        Ok(()) => ready,
        Err(error) => {
            node.note(error.to_string(), None);
            Ready::default()
        }
    };
    let status = |node: &Node<'_>| match node.loose_text()?.parse::<StatusTest>() {
        Ok(status) => Some(status),
        Err(error) => {
            node.note(error.to_string(), None);
            None
        }
    };
    let statuses = section.get("status").and_then(|node| {
        let tests = node.list()?;
        if tests.is_empty() {
            node.note("status has no status in it", Some("write status = [\"2xx\"]".to_owned()));
        }
        Some(tests.iter().filter_map(status).collect())
    });
    let header = section.get("header").and_then(|node| {
        let header = header(node.section()?)?;
        checked(node, Ready { header: Some(header), ..Ready::default() }).header
    });
    let json = section.get("json").and_then(|node| {
        let json = json(node.section()?)?;
        checked(node, Ready { json: Some(json), ..Ready::default() }).json
    });
    Ready { status: statuses.unwrap_or_default(), header, json }
}

fn header(section: Section<'_>) -> Option<HeaderTest> {
    section.only("[health] header", &["name", "value"]);
    let name = section.need("the header", "name", "name it: name = \"X-Ready\"")?.text()?;
    Some(HeaderTest { name, value: section.text("value") })
}

fn json(section: Section<'_>) -> Option<JsonTest> {
    section.only("[health] json", &["pointer", "equals"]);
    let pointer = section.need("the JSON", "pointer", "say where to look: pointer = \"/status\"")?.text()?;
    Some(JsonTest { pointer, equals: section.get("equals").and_then(|node| node.json()) })
}
