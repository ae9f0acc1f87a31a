//! Tables without lines: a header and rows, two spaces between columns.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table};
use towline_core::lifecycle::Status;

use super::words::clean_line;

/// Spaces between two columns.
const GAP: u16 = 2;
/// What the last column is cut down to before others are cut.
const LAST_COLUMN_MIN: u16 = 12;

/// A table before it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these headings.
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        Self { header: header.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row with as many cells as there are headings; each cell becomes one line of harmless text.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean_line(&cell)).collect());
    }

    /// Lays the table out: cut to `width` columns with `…` if there is one, whole otherwise.
    pub(super) fn lay_out(&self, width: Option<u16>, color: bool) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_truncation_indicator("…");
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let heading = |word: &&str| Cell::new(word).add_attribute(Attribute::Bold);
        table.set_header(one_line(self.header.iter().map(heading).collect()));
        for cells in &self.rows {
            table.add_row(one_line(cells.iter().map(|cell| paint(cell)).collect()));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        match width {
            Some(width) => fit(&mut table, width),
            None => _ = table.set_content_arrangement(ContentArrangement::Disabled),
        }
        table.trim_fmt()
    }
}

fn one_line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

/// Cuts only the last column as long as something of it remains, all of them on a very narrow terminal.
fn fit(table: &mut Table, width: u16) {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let widths = table.column_max_content_widths();
    let Some((_, first)) = widths.split_last() else { return };
    let taken = first.iter().fold(0u16, |sum, width| sum.saturating_add(width.saturating_add(GAP)));
    if taken.saturating_add(LAST_COLUMN_MIN) <= width {
        for column in table.column_iter_mut().take(first.len()) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// Colours a cell that holds one of the eight statuses.
fn paint(cell: &str) -> Cell {
    let painted = Cell::new(cell);
    match cell.parse::<Status>() {
        Ok(Status::Healthy) => painted.fg(Color::Green),
        Ok(Status::Submitted | Status::Pending | Status::Starting) => painted.fg(Color::Yellow),
        Ok(Status::Unhealthy) => painted.fg(Color::Magenta),
        Ok(Status::Timeout | Status::Failed) => painted.fg(Color::Red),
        Ok(Status::Stopped) => painted.fg(Color::DarkGrey),
        Err(_) => painted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Columns {
        let mut table = Columns::new(["NAME", "STATUS", "WHY"]);
        table.row(["web".into(), "HEALTHY".into(), "the server\nanswers \u{1b}[2J".into()]);
        table.row(["a-much-longer-name".into(), "FAILED".into(), "x".repeat(200)]);
        table
    }

    #[test]
    fn a_pipe_gets_all_of_it_plainly() {
        let text = table().lay_out(None, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME                STATUS   WHY");
        assert_eq!(lines[1], "web                 HEALTHY  the server answers \u{fffd}[2J");
        assert!(lines[2].ends_with(&"x".repeat(200)));
        assert_eq!(lines.len(), 3);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_terminal_gets_lines_that_fit() {
        for width in [20, 41, 42, 80] {
            let text = table().lay_out(Some(width), false);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{text}");
            assert!(text.contains('…'));
        }
        assert!(table().lay_out(Some(80), true).contains("\u{1b}["));
    }
}
