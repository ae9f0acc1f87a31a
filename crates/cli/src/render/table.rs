//! Tables without lines: a header and rows, two spaces between columns.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table};
use towline_core::lifecycle::Status;

use super::words::clean_line;

/// Spaces between two columns.
const GAP: u16 = 2;
/// What the last column is cut down to, unless more is to be kept, before others are cut.
const LAST_COLUMN_MIN: u16 = 12;

/// A table before it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    expendable: Vec<&'static str>,
    /// What the last column is cut down to before others are cut.
    last_min: u16,
}

impl Columns {
    /// A table with these headings.
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        let header = header.into_iter().collect();
        Self { header, rows: Vec::new(), expendable: Vec::new(), last_min: LAST_COLUMN_MIN }
    }

    /// Names the columns that a narrow terminal does without, the first one first.
    #[must_use]
    pub(crate) fn expendable(mut self, header: impl IntoIterator<Item = &'static str>) -> Self {
        self.expendable = header.into_iter().collect();
        self
    }

    /// Keeps so many characters of the last column before others are cut.
    #[must_use]
    pub(crate) fn keep_of_last(mut self, characters: usize) -> Self {
        self.last_min = self.last_min.max(u16::try_from(characters).unwrap_or(u16::MAX));
        self
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
            Some(width) => self.fit(&mut table, width),
            None => _ = table.set_content_arrangement(ContentArrangement::Disabled),
        }
        table.trim_fmt()
    }

    /// Hides what is expendable, then cuts the last column; all of them only on a very narrow terminal.
    fn fit(&self, table: &mut Table, width: u16) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let mut widths = table.column_max_content_widths();
        let Some(last) = widths.last_mut() else { return };
        *last = self.last_min.min(*last);
        let needed = |widths: &[u16]| {
            let shown = widths.iter().filter(|width| **width > 0);
            shown.fold(0, |sum: u16, width| sum.saturating_add(width.saturating_add(GAP)))
        };
        for heading in &self.expendable {
            if needed(&widths) <= width {
                break;
            }
            let Some(index) = self.header.iter().position(|known| known == heading) else { continue };
            if let (Some(hidden), Some(column)) = (widths.get_mut(index), table.column_mut(index)) {
                *hidden = 0;
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
        if needed(&widths) <= width {
            widths.pop();
            for (column, _) in table.column_iter_mut().zip(&widths).filter(|(_, width)| **width > 0) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
}

fn one_line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
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

    #[test]
    fn a_narrow_terminal_does_without_the_expendable_first() {
        let mut table =
            Columns::new(["NAME", "NODE", "AGE", "URL", "WHY"]).expendable(["NODE", "AGE", "WHY"]);
        table.row(["web", "node-one", "12m", "http://127.0.0.1:40001", "ok"].map(str::to_owned));
        let header = |width| table.lay_out(Some(width), false).lines().next().unwrap_or_default().to_owned();
        let words = |width| header(width).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(80), ["NAME", "NODE", "AGE", "URL", "WHY"]);
        assert_eq!(words(40), ["NAME", "AGE", "URL", "WHY"]);
        assert_eq!(words(35), ["NAME", "URL", "WHY"]);
        assert_eq!(words(32), ["NAME", "URL"]);
        assert!(table.lay_out(Some(32), false).contains("http://127.0.0.1:40001"));
    }
}
